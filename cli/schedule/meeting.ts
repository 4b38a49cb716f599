import { create } from '@bufbuild/protobuf';
import { Day, type Meeting, MeetingSchema } from '#proto/catalog/v1/catalog';
import { BadRow } from './fault.ts';

const kinds: Record<string, string> = {
  AC: 'activity',
  CL: 'clinic',
  CO: 'conference',
  DI: 'discussion',
  FI: 'final',
  FM: 'film',
  FW: 'fieldwork',
  IN: 'independent-study',
  IT: 'internship',
  LA: 'lab',
  LE: 'lecture',
  MI: 'midterm',
  MU: 'make-up',
  OT: 'other',
  PB: 'problem-session',
  PR: 'practicum',
  RE: 'review',
  SE: 'seminar',
  ST: 'studio',
  TU: 'tutorial',
};

/** Two letters before one, so that "Tu" is not read as a day "T". */
const days: [string, Day][] = [
  ['Su', Day.SUNDAY],
  ['Sa', Day.SATURDAY],
  ['Tu', Day.TUESDAY],
  ['Th', Day.THURSDAY],
  ['M', Day.MONDAY],
  ['W', Day.WEDNESDAY],
  ['F', Day.FRIDAY],
];

const MEETINGS_MAX = 50;
const toBeArranged = ['N/A', 'TBA'];
const NO_TIME = '00:00';

/** Reads `TYPE,DAYS or DATE,START - END,ROOM` joined by `|`. */
export function meetingsOf(text: string): Meeting[] {
  const parts = text.split('|').filter((part) => part.trim() !== '');
  if (parts.length > MEETINGS_MAX) throw new BadRow(`${parts.length} meetings are more than ${MEETINGS_MAX}`);
  return parts.map(meetingOf);
}

function meetingOf(text: string): Meeting {
  const [type = '', when = '', hours = '', ...rest] = text.split(',').map((part) => part.trim());
  if (rest.length === 0) throw new BadRow(`meeting "${text}" is not TYPE,DAYS or DATE,START - END,ROOM`);
  const kind = kinds[type];
  if (!kind) throw new BadRow(`meeting type "${type}" is unknown`);
  const room = roomOf(rest.join(', '));
  const [startsAt, endsAt] = timesOf(hours);
  const isUntimed = startsAt === NO_TIME && endsAt === NO_TIME;
  if (toBeArranged.includes(when)) {
    if (!isUntimed) throw new BadRow(`meeting "${text}" has a time but no day`);
    return create(MeetingSchema, { kind, room });
  }
  if (when === '') throw new BadRow(`meeting "${text}" has a time but no day`);
  if (isUntimed) return create(MeetingSchema, { kind, room });
  if (endsAt <= startsAt) throw new BadRow(`meeting "${text}" ends before it starts`);
  const date = /^\d/.test(when) ? dateOf(when) : '';
  return create(MeetingSchema, { kind, date, days: date ? [] : daysOf(when), startsAt, endsAt, room });
}

function timesOf(hours: string): [string, string] {
  const match = /^(\d{1,2}):(\d{2}) - (\d{1,2}):(\d{2})$/.exec(hours);
  const [startHour = 99, startMinute = 99, endHour = 99, endMinute = 99] = (match ?? []).slice(1).map(Number);
  const isClock = Math.max(startHour, endHour) <= 23 && Math.max(startMinute, endMinute) <= 59;
  if (!isClock) throw new BadRow(`time "${hours}" is not START - END`);
  return [clock(startHour, startMinute), clock(endHour, endMinute)];
}

function clock(hour: number, minute: number): string {
  return `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
}

function dateOf(text: string): string {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  // An impossible date such as February 30 is either refused or moved by Date.
  if (!day || Number.isNaN(day.getTime()) || !day.toISOString().startsWith(text)) {
    throw new BadRow(`date "${text}" does not exist`);
  }
  return text;
}

function daysOf(text: string): Day[] {
  const found: Day[] = [];
  let rest = text;
  while (rest !== '') {
    const [letters, day] = days.find(([prefix]) => rest.startsWith(prefix)) ?? [];
    if (!letters || !day || found.includes(day)) throw new BadRow(`days "${text}" cannot be read`);
    found.push(day);
    rest = rest.slice(letters.length);
  }
  return found;
}

function roomOf(text: string): string {
  const room = text.trim();
  return /^(TBA\s*)+$/.test(room) ? '' : room;
}
