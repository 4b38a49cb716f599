/** A section as the rules see it: what the catalog says of it, and its seats. */
import { type MaterialLine, SectionStatus } from '#proto/catalog/v1/catalog';
import type { Money } from '#proto/money/v1/money';
import type { Occurrence } from './timetable.ts';

/** The catalog's word, which changes rarely. */
export interface SectionFacts {
  id: string;
  termId: string;
  courseId: string;
  courseCode: string;
  credits: number;
  fee: Money | undefined;
  materials: MaterialLine[];
  /** Seats the catalog wants to give; fewer than are taken, where it was lowered. */
  capacity: number;
  /** The catalog's meetings, ready to be compared. */
  occurrences: Occurrence[];
}

/** One section at one moment. `taken` never exceeds `capacity + overLimit`. */
export interface Section {
  facts: SectionFacts;
  status: SectionStatus;
  /** Most credits one student may take in the section's term. */
  termCreditsMax: number;
  capacity: number;
  /** Seats beyond capacity that a registrar allowed. */
  overLimit: number;
  taken: number;
  waitlistCapacity: number;
  waitlisted: number;
  /** The number the next one to wait gets. */
  waitlistNext: bigint;
  version: bigint;
}

export function isOpen(section: Section): boolean {
  return section.status === SectionStatus.OPEN;
}

export function isCancelled(section: Section): boolean {
  return section.status === SectionStatus.CANCELLED;
}

/** A free seat goes to nobody new while others wait for it, nor beyond what the catalog wants by now. */
export function hasSeat({ facts, capacity, overLimit, taken, waitlisted }: Section): boolean {
  return taken < Math.min(capacity, facts.capacity) + overLimit && waitlisted === 0;
}

export function hasWaitlistPlace(section: Section): boolean {
  return section.waitlisted < section.waitlistCapacity;
}
