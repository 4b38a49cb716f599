/** For tests: snapshots and requests by a few words, and what a snapshot becomes once something was decided. */
import { create } from '@bufbuild/protobuf';
import { Day, type Meeting, MeetingSchema, SectionStatus } from '#proto/catalog/v1/catalog';
import { Action, Mode, Outcome } from '#proto/enrollment/v1/registration';
import { type RegisterRequest, RegisterRequestSchema } from '#proto/enrollment/v1/service';
import type { Decided, Snapshot } from './decide.ts';
import type { Place } from './rules.ts';
import type { Section } from './section.ts';
import { occurrencesOf } from './timetable.ts';

export const NOW = new Date('2026-11-21T07:00:00Z');

interface SectionWords extends Partial<Omit<Section, 'facts'>> {
  credits?: number;
  termId?: string;
  meetings?: Meeting[];
}

/** An open section of one seat, four credits and no waitlist that never meets, but for what is named. */
export function sectionOf(id: string, words: SectionWords = {}): Section {
  const { credits = 4, termId = 'T1', meetings = [], capacity = 1, ...rest } = words;
  const course = { courseId: `COURSE-${id}`, courseCode: `COURSE ${id}` };
  const facts = { id, termId, ...course, credits, fee: undefined, materials: [], capacity };
  return {
    facts: { ...facts, occurrences: occurrencesOf(meetings) },
    status: SectionStatus.OPEN,
    termCreditsMax: 22,
    capacity,
    overLimit: 0,
    taken: 0,
    waitlistCapacity: 0,
    waitlisted: 0,
    waitlistNext: 1n,
    version: 1n,
    ...rest,
  };
}

export function weekly(days: Day[], startsAt: string, endsAt: string, kind = 'lecture'): Meeting {
  return create(MeetingSchema, { kind, days, startsAt, endsAt });
}

export function dated(date: string, startsAt: string, endsAt: string, kind = 'midterm'): Meeting {
  return create(MeetingSchema, { kind, date, startsAt, endsAt });
}

export const MORNING = weekly([Day.MONDAY, Day.WEDNESDAY], '09:00', '09:50');

export function snapshotOf(
  sections: Section[],
  places: Record<string, Record<string, Place['outcome']>> = {},
): Snapshot {
  const byId = new Map(sections.map((section) => [section.facts.id, section]));
  const placesOf = (own: Record<string, Place['outcome']>) =>
    new Map(
      Object.entries(own).map(([sectionId, outcome]): [string, Place] => {
        const { facts } = byId.get(sectionId) ?? sectionOf(sectionId);
        return [sectionId, { facts, outcome, registrationId: 'earlier' }];
      }),
    );
  return {
    sections: byId,
    places: new Map(Object.entries(places).map(([studentId, own]) => [studentId, placesOf(own)])),
  };
}

interface RequestWords {
  registrationId?: string;
  adds?: string[];
  drops?: string[];
  orWaitlist?: boolean;
  mode?: Mode;
}

export function requestOf(studentId: string, words: RequestWords): RegisterRequest {
  const { registrationId = `of-${studentId}`, adds = [], drops = [], orWaitlist = false, mode = Mode.EACH } = words;
  return create(RegisterRequestSchema, {
    registrationId,
    studentId,
    adds: adds.map((sectionId) => ({ sectionId, orWaitlist })),
    drops,
    mode,
  });
}

/**
 * The snapshot once these decisions were written, their seats still reserved or, once the sagas have ended, enrolled. The places come
 * from the items alone, so that they check the sections which the decision itself says have changed.
 */
export function afterwards(
  snapshot: Snapshot,
  { requests, decided, seats }: { requests: readonly RegisterRequest[]; decided: Decided; seats: Place['outcome'] },
): Snapshot {
  const places = new Map([...snapshot.places].map(([studentId, own]) => [studentId, new Map(own)]));
  for (const [index, { studentId, registrationId }] of requests.entries()) {
    const own = places.get(studentId) ?? new Map<string, Place>();
    places.set(studentId, own);
    for (const { action, outcome, sectionId } of decided.decisions[index]?.items ?? []) {
      const section = snapshot.sections.get(sectionId);
      if (outcome === Outcome.REFUSED || !section) continue;
      if (action === Action.DROP) own.delete(sectionId);
      else {
        const place = outcome === Outcome.WAITLISTED ? Outcome.WAITLISTED : seats;
        own.set(sectionId, { facts: section.facts, outcome: place, registrationId });
      }
    }
  }
  return { sections: new Map([...snapshot.sections, ...decided.sections]), places };
}
