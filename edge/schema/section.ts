import { Type } from 'typebox';
import { countOrUnknown, Id, Money, pageOf, ref, textOrNull, word } from './elements.ts';

export const Term = Type.Object(
  {
    id: Id,
    name: Type.String(),
    timeZone: Type.String({ description: 'IANA name; meetings are local times in it' }),
    startsOn: Type.String({ format: 'date' }),
    endsOn: Type.String({ format: 'date' }),
    creditsMax: Type.Integer({ description: 'most credits of one student' }),
  },
  { $id: 'Term' },
);

export const Course = Type.Object(
  {
    id: Id,
    subject: Type.String(),
    code: Type.String(),
    title: Type.String(),
    description: Type.String(),
    credits: Type.Integer(),
  },
  { $id: 'Course' },
);

export const dayWords = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;

const Meeting = Type.Object(
  {
    kind: Type.String({ description: 'lecture, discussion, lab, final, …' }),
    days: Type.Array(word(dayWords)),
    date: Type.Optional(Type.String({ description: 'of a meeting that takes place once' })),
    startsAt: textOrNull('local, HH:MM; null where it is yet to be arranged'),
    endsAt: textOrNull('local, HH:MM; null where it is yet to be arranged'),
    room: Type.String(),
  },
  { $id: 'Meeting' },
);

/** What says which section it is, and when, whoever asks. */
export const sectionFacts = {
  id: Id,
  term: Type.String(),
  course: Type.Object({ id: Id, code: Type.String(), title: Type.String(), credits: Type.Integer() }),
  code: Type.String(),
  instructors: Type.Array(Type.String()),
  meetings: Type.Array(ref(Meeting)),
};

export const Section = Type.Object(
  {
    ...sectionFacts,
    capacity: Type.Integer({ description: 'fewer than are taken, where it was lowered since' }),
    seatsTaken: countOrUnknown('null where unknown'),
    seatsLeft: countOrUnknown('for who comes now: none while others wait; null where unknown'),
    waitlisted: countOrUnknown('null where unknown'),
    waitlistCapacity: Type.Integer(),
    fee: ref(Money),
    status: word(['open', 'closed', 'cancelled']),
    asOf: textOrNull('up to when the counts are known'),
  },
  { $id: 'Section' },
);

export const TermPage = pageOf(Term);
export const CoursePage = pageOf(Course);
export const SectionPage = pageOf(Section);

export const sectionSchemas = [Term, Course, Meeting, Section, TermPage, CoursePage, SectionPage];
