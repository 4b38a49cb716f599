/** Sections between what staff send and see, and what the catalog takes and holds. */
import { create } from '@bufbuild/protobuf';
import type { Static } from 'typebox';
import { fromWord, wordOf } from '#lib/words';
import {
  type Course,
  type Day,
  DaySchema,
  MaterialLineSchema,
  type Meeting,
  MeetingSchema,
  type Section,
  SectionSchema,
  SectionStatus,
  SectionStatusSchema,
} from '#proto/catalog/v1/catalog';
import { MoneySchema } from '#proto/money/v1/money';
import { CURRENCY_DEFAULT, fromMoney, toMoney } from './money.ts';
import type { CatalogSection, NewMeeting, NewSection, SectionChange } from './schema/catalog-change.ts';
import { meetingOf } from './section.ts';

type Answer = Static<typeof CatalogSection>;

export function newSection({ id, term, ...content }: Static<typeof NewSection>): Section {
  return create(SectionSchema, { id, termId: term, status: SectionStatus.OPEN, ...given(content) });
}

/** The section with what is given, and all else as it was. */
export function changedSection(section: Section, change: Static<typeof SectionChange>): Section {
  return { ...section, ...given(change) };
}

function given({
  meetings,
  fee,
  materials,
  status,
  ...alike
}: Static<typeof SectionChange>): Partial<Omit<Section, '$typeName'>> {
  return {
    ...alike,
    ...(meetings && { meetings: meetings.map(newMeeting) }),
    ...(fee && { fee: create(MoneySchema, fromMoney(fee)) }),
    ...(materials && { materials: materials.map((line) => create(MaterialLineSchema, line)) }),
    ...(status && { status: fromWord<SectionStatus>(SectionStatusSchema, status) }),
  };
}

function newMeeting({ kind, days = [], date = '', startsAt, endsAt, room = '' }: Static<typeof NewMeeting>): Meeting {
  const times = { startsAt: startsAt ?? '', endsAt: endsAt ?? '' };
  return create(MeetingSchema, { kind, days: days.map((day) => fromWord<Day>(DaySchema, day)), date, ...times, room });
}

/** A section as staff see it. A fee that is not there is one of 0, as the public sees it. */
export function catalogSectionOf(section: Section, { id, code, title, credits }: Course): Answer {
  const { instructors, capacity, waitlistCapacity, meetings, materials, fee, status } = section;
  return {
    ...{ id: section.id, term: section.termId, course: { id, code, title, credits }, code: section.code },
    ...{ instructors, capacity, waitlistCapacity },
    meetings: meetings.map(({ days, ...meeting }) =>
      meetingOf({ ...meeting, days: days.map((day) => wordOf(DaySchema, day)) }),
    ),
    fee: toMoney(fee ?? { amount: 0n, currency: CURRENCY_DEFAULT }),
    materials: materials.map(({ materialId, quantity }) => ({ materialId, quantity })),
    status: wordOf(SectionStatusSchema, status) as Answer['status'], // the catalog keeps no section without one
  };
}
