/** A schedule as calendar programs read it: iCalendar (RFC 5545). */
import ICAL from 'ical.js';
import { tzlib_get_ical_block as describeTimeZone } from 'timezones-ical-library';
import type { Static } from 'typebox';
import type { Schedule } from './schema/me.ts';
import { dayWords, type Term } from './schema/section.ts';

type Entry = Static<typeof Schedule>['items'][number];
type Meeting = Entry['section']['meetings'][number];
type CalendarTerm = Pick<Static<typeof Term>, 'id' | 'timeZone' | 'startsOn' | 'endsOn'>;

/** How often a calendar program should ask again: an hour. */
const REFRESH = 'PT1H';

/**
 * An event for each meeting that has a time: a weekly one recurs through its term, in the term's own time zone.
 * @param at when the calendar is made.
 */
export function calendarOf(entries: readonly Entry[], terms: readonly CalendarTerm[], at: Date): string {
  const calendar = new ICAL.Component('vcalendar');
  set(calendar, {
    ...{ version: '2.0', prodid: '-//Registrar//Schedule//EN', method: 'PUBLISH' },
    ...{ 'x-wr-calname': 'Classes', 'x-published-ttl': REFRESH },
  });
  const zones = new Map(terms.map(({ timeZone }) => [timeZone, timeZoneOf(timeZone)]));
  for (const { component } of zones.values()) if (component) calendar.addSubcomponent(component);
  for (const term of terms) {
    const zone = zones.get(term.timeZone) ?? ICAL.Timezone.localTimezone;
    const own = entries.filter(({ section }) => section.term === term.id);
    for (const event of own.flatMap((entry) => eventsOf(entry, term, zone))) {
      set(event, { dtstamp: ICAL.Time.fromJSDate(at, true) });
      calendar.addSubcomponent(event);
    }
  }
  return `${calendar.toString()}\r\n`;
}

function eventsOf(entry: Entry, term: CalendarTerm, zone: ICAL.Timezone): ICAL.Component[] {
  const { section, outcome } = entry;
  return section.meetings.flatMap((meeting, index) => {
    const times = timesOf(meeting, term, zone);
    if (!times) return [];
    const isWaiting = outcome === 'waitlisted';
    const event = new ICAL.Component('vevent');
    set(event, {
      uid: `${section.id}.${index + 1}@registrar`,
      ...times,
      summary: `${section.course.code} ${meeting.kind}${isWaiting ? ' (waitlisted)' : ''}`,
      description: [section.course.title, section.id, ...section.instructors].join('\n'),
      location: meeting.room,
      status: statusOf(entry),
      transp: isWaiting ? 'TRANSPARENT' : 'OPAQUE',
    });
    return event;
  });
}

function statusOf({ section, outcome }: Entry): string {
  if (section.status === 'cancelled') return 'CANCELLED';
  return outcome === 'enrolled' ? 'CONFIRMED' : 'TENTATIVE';
}

/** Undefined where the time is yet to be arranged, or no day of the term is one of the meeting's. */
function timesOf({ date, days, startsAt, endsAt }: Meeting, term: CalendarTerm, zone: ICAL.Timezone) {
  const on = date ?? firstOf(days, term);
  if (on === undefined || startsAt === null || endsAt === null) return undefined;
  const weekly = {
    freq: 'WEEKLY',
    byday: days.map((day) => day.slice(0, 2).toUpperCase()),
    until: lastMomentOf(term, zone),
  };
  return {
    dtstart: timeOf(on, `${startsAt}:00`, zone),
    dtend: timeOf(on, `${endsAt}:00`, zone),
    ...(date === undefined && { rrule: new ICAL.Recur(weekly) }),
  };
}

/** The first day of the term that is one of these weekdays: a recurring event has to begin on a day on which it recurs. */
function firstOf(days: Meeting['days'], { startsOn, endsOn }: CalendarTerm): string | undefined {
  const first = new Date(`${startsOn}T00:00:00Z`);
  for (let offset = 0; offset < dayWords.length; offset++) {
    const day = dayWords.at(first.getUTCDay() - 1); // Sunday, which `Date` counts as 0, is the last one
    const date = first.toISOString().slice(0, 'YYYY-MM-DD'.length);
    if (date <= endsOn && days.some((wanted) => wanted === day)) return date;
    first.setUTCDate(first.getUTCDate() + 1);
  }
  return undefined;
}

/** The end of a rule is in UTC where its begin has a time zone (RFC 5545, 3.3.10). */
function lastMomentOf({ endsOn }: CalendarTerm, zone: ICAL.Timezone): ICAL.Time {
  const local = timeOf(endsOn, '23:59:59', zone);
  return zone.component ? local.convertToZone(ICAL.Timezone.utcTimezone) : local;
}

function timeOf(date: string, time: string, zone: ICAL.Timezone): ICAL.Time {
  const at = ICAL.Time.fromDateTimeString(`${date}T${time}`);
  at.zone = zone;
  return at;
}

/** A zone that the library does not know is the reader's own: the hours are right wherever the campus is around them. */
function timeZoneOf(name: string): ICAL.Timezone {
  const [described] = [describeTimeZone(name)].flat();
  if (!described) return ICAL.Timezone.localTimezone;
  return new ICAL.Timezone(new ICAL.Component(ICAL.parse(described)));
}

function set(component: ICAL.Component, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    const property = component.updatePropertyWithValue(name, value);
    if (value instanceof ICAL.Time && value.zone?.component) property.setParameter('tzid', value.zone.tzid);
  }
}
