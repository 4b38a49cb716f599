/** What staff send to change the catalog. What is a fault in itself is refused here; what only the whole can tell, by the catalog. */
import { type TObject, Type } from 'typebox';
import { closed, Id, line, Money, Price, ref, TIME_PATTERN, word } from './elements.ts';
import { dayWords, sectionFacts } from './section.ts';

const TEXT_LENGTH_MAX = 200;
const DESCRIPTION_LENGTH_MAX = 10_000;
const CREDITS_MAX = 30;
const TERM_CREDITS_MAX = 1_000;
const SEATS_MAX = 100_000;
const LIST_LENGTH_MAX = 50;
const QUANTITY_MAX = 100;

const Text = line({ minLength: 1, maxLength: TEXT_LENGTH_MAX });
const Day = Type.String({ format: 'date' });
const TermId = Type.String({ pattern: '^[A-Za-z0-9]{1,16}$', description: 'for example FA26' });
const CourseId = Type.String({ pattern: '^[A-Za-z0-9&.-]{1,40}$', description: 'for example CSE-101' });
const SectionId = Type.String({
  pattern: '^[A-Za-z0-9]{1,16}-[A-Za-z0-9]{1,16}$',
  description: '<term>-<class number>, for example FA26-10021',
});
const Seats = Type.Integer({ minimum: 0, maximum: SEATS_MAX });

/** Null is what an answer says where the time is yet to be arranged. */
const TimeOrNull = Type.Unsafe<string | null>({ type: ['string', 'null'], pattern: TIME_PATTERN });

export const NewMeeting = closed(
  {
    kind: Text,
    days: Type.Optional(Type.Array(word(dayWords), { maxItems: dayWords.length, uniqueItems: true })),
    date: Type.Optional(Type.String({ format: 'date', description: 'instead of days: it takes place once' })),
    startsAt: Type.Optional(TimeOrNull),
    endsAt: Type.Optional(TimeOrNull),
    room: Type.Optional(line({ maxLength: TEXT_LENGTH_MAX })),
  },
  { $id: 'NewMeeting' },
);

const MaterialLine = closed(
  { materialId: Id, quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }) },
  { $id: 'MaterialLine' },
);

const term = {
  name: Text,
  timeZone: Type.String({
    pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$',
    maxLength: TEXT_LENGTH_MAX,
    description: 'IANA name; meetings are local times in it',
  }),
  startsOn: Day,
  endsOn: Day,
  creditsMax: Type.Integer({ minimum: 1, maximum: TERM_CREDITS_MAX, description: 'most credits of one student' }),
};

const course = {
  subject: Text,
  code: Text,
  title: Text,
  description: Type.String({ maxLength: DESCRIPTION_LENGTH_MAX }),
  credits: Type.Integer({ minimum: 0, maximum: CREDITS_MAX }),
};

const section = {
  courseId: CourseId,
  code: Text,
  instructors: Type.Array(Text, { maxItems: LIST_LENGTH_MAX }),
  meetings: Type.Array(ref(NewMeeting), { maxItems: LIST_LENGTH_MAX }),
  capacity: Seats,
  waitlistCapacity: Seats,
  fee: Price,
  materials: Type.Array(ref(MaterialLine), { maxItems: LIST_LENGTH_MAX }),
  status: word(['open', 'closed']),
};

export const NewTerm = closed({ id: TermId, ...term }, { $id: 'NewTerm' });
export const TermChange = changeOf(closed(term), 'TermChange');

export const NewCourse = closed(
  { id: CourseId, ...course, description: Type.Optional(course.description) },
  { $id: 'NewCourse' },
);
export const CourseChange = changeOf(closed(course), 'CourseChange');

export const NewSection = closed(
  {
    ...{ id: SectionId, term: TermId, ...section },
    instructors: Type.Optional(section.instructors),
    meetings: Type.Optional(section.meetings),
    waitlistCapacity: Type.Optional(section.waitlistCapacity),
    fee: Type.Optional(section.fee),
    materials: Type.Optional(section.materials),
    status: Type.Optional(section.status),
  },
  { $id: 'NewSection' },
);
export const SectionChange = changeOf(closed(section), 'SectionChange');

/** A section without its seats, which are enrollment's word, and with what only staff need. */
export const CatalogSection = Type.Object(
  {
    ...sectionFacts,
    capacity: Type.Integer(),
    waitlistCapacity: Type.Integer(),
    fee: ref(Money),
    materials: Type.Array(ref(MaterialLine)),
    status: word(['open', 'closed', 'cancelled']),
  },
  { $id: 'CatalogSection' },
);

/** Every part may be left out, and stays as it is. */
function changeOf<P extends TObject>(whole: P, $id: string) {
  return Type.Partial(whole, { $id, additionalProperties: false });
}

export const catalogChangeSchemas = [
  NewMeeting,
  MaterialLine,
  NewTerm,
  TermChange,
  NewCourse,
  CourseChange,
  NewSection,
  SectionChange,
  CatalogSection,
];
