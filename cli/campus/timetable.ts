import { create } from '@bufbuild/protobuf';
import { Day, type Meeting, MeetingSchema } from '#proto/catalog/v1/catalog';
import { type Room, roomsFor, type Use } from './rooms.ts';
import { finalsDates } from './term.ts';

/** When a section meets each week. */
export interface Pattern {
  days: Day[];
  startsAt: string;
  minutes: number;
}

const { MONDAY: M, TUESDAY: T, WEDNESDAY: W, THURSDAY: R, FRIDAY: F } = Day;

const thrice = pattern([M, W, F], 50, '08:00', '09:00', '10:00', '11:00', '12:00', '13:00', '14:00', '15:00');
const twice = [
  ...pattern([T, R], 80, '08:00', '09:30', '11:00', '12:30', '14:00', '15:30', '17:00', '18:30'),
  ...pattern([M, W], 80, '16:30', '18:00'),
];
const studios = [...pattern([M, W], 170, '09:00', '13:00'), ...pattern([T, R], 170, '09:00', '13:00')];
const weekly = [...pattern([W], 170, '16:00'), ...pattern([R], 170, '16:00'), ...pattern([F], 170, '13:00')];
const labs = [M, T, W, R, F].flatMap((day) => pattern([day], 170, '08:00', '11:00', '14:00', '17:00'));
const discussions = [F, W, M, R, T].flatMap((day) => pattern([day], 50, '09:00', '11:00', '13:00', '15:00', '16:00'));

/** A section's final follows from when it meets: who has no clash in the week has none in the finals. */
const withFinal = [...thrice, ...twice, ...studios, ...weekly];
const finalStarts = ['08:00', '10:30', '13:00', '15:30', '18:00'];
const FINAL_MINUTES = 120;

function pattern(days: Day[], minutes: number, ...starts: string[]): Pattern[] {
  return starts.map((startsAt) => ({ days, startsAt, minutes }));
}

/** The patterns of a course's main meeting: little credit meets once a week, studios long, the others twice or thrice. */
export function mainPatterns(credits: number, use: Use): Pattern[] {
  if (credits <= 2) return weekly.map((slot) => ({ ...slot, minutes: credits === 1 ? 50 : 110 }));
  return use === 'classroom' ? [...thrice, ...twice] : studios;
}

/** The patterns of what accompanies a lecture: an hour of discussion, or an afternoon in the laboratory. */
export function sidePatterns(use: Use): Pattern[] {
  return use === 'classroom' ? discussions : labs;
}

/** Who and what is taken when. */
export class Diary {
  readonly #taken = new Map<string, { day: Day; from: number; until: number }[]>();

  /** The first pattern, with the smallest room, at which that room and one of these people are free; takes them. */
  book(patterns: Pattern[], people: string[], { use, seats }: { use: Use; seats: number }): Booking {
    for (const slot of patterns) {
      for (const person of people.filter((candidate) => this.#isFree(candidate, slot))) {
        const room = roomsFor(use, seats).find((candidate) => this.#isFree(candidate.name, slot));
        if (!room) break;
        this.#take(person, slot);
        this.#take(room.name, slot);
        return { pattern: slot, person, room };
      }
    }
    throw new Error(`the campus has no ${use} left for ${seats} students and one of ${people.join(', ')}`);
  }

  #isFree(whom: string, slot: Pattern): boolean {
    const from = minutesOf(slot.startsAt);
    const until = from + slot.minutes;
    const taken = this.#taken.get(whom) ?? [];
    return !taken.some((other) => slot.days.includes(other.day) && other.from < until && from < other.until);
  }

  #take(whom: string, slot: Pattern): void {
    const from = minutesOf(slot.startsAt);
    const taken = slot.days.map((day) => ({ day, from, until: from + slot.minutes }));
    this.#taken.set(whom, [...(this.#taken.get(whom) ?? []), ...taken]);
  }
}

export interface Booking {
  pattern: Pattern;
  person: string;
  room: Room;
}

export function weeklyMeeting(kind: string, { pattern: slot, room }: Booking): Meeting {
  const endsAt = clock(minutesOf(slot.startsAt) + slot.minutes);
  return create(MeetingSchema, { kind, days: slot.days, startsAt: slot.startsAt, endsAt, room: room.name });
}

/** The final of a section whose main meeting was booked so, in the same room. */
export function finalMeeting({ pattern: slot, room }: Booking): Meeting {
  const index = withFinal.findIndex(
    (other) => other.startsAt === slot.startsAt && other.days.join() === slot.days.join(),
  );
  const startsAt = finalStarts[index % finalStarts.length];
  const date = finalsDates[Math.floor(index / finalStarts.length)];
  if (index < 0 || !startsAt || !date) throw new Error(`no final belongs to ${slot.days.join()} ${slot.startsAt}`);
  const endsAt = clock(minutesOf(startsAt) + FINAL_MINUTES);
  return create(MeetingSchema, { kind: 'final', date, startsAt, endsAt, room: room.name });
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}
