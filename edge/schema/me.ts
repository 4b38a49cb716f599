import { Type } from 'typebox';
import { countOrUnknown, Id, Instant, Money, ref, textOrNull, Uuid, word } from './elements.ts';
import { Section } from './section.ts';
import { roleWords } from './session.ts';

const Standing = Type.Object(
  {
    term: Id,
    credits: countOrUnknown('enrolled and reserved; null where unknown'),
    creditsLimit: Type.Integer(),
    holds: Type.Array(Type.Object({ reason: Type.String() }), {
      description: 'what keeps the student from registering; always empty, since nobody can place a hold yet',
    }),
    registrationOpensAt: textOrNull('always null: it is open from the start, since nobody can set an opening yet'),
  },
  { $id: 'Standing' },
);

export const Me = Type.Object(
  {
    id: Id,
    email: Type.String(),
    name: Type.String(),
    roles: Type.Array(word(roleWords)),
    standing: Type.Optional(
      Type.Unsafe<import('typebox').Static<typeof Standing> | null>({
        anyOf: [{ $ref: 'Standing#' }, { type: 'null' }],
        description: 'of students, in the current term; null where it is unknown',
      }),
    ),
  },
  { $id: 'Me' },
);

const ScheduleEntry = Type.Object(
  {
    registrationId: Uuid,
    outcome: word(['reserved', 'enrolled', 'waitlisted']),
    waitlistPosition: Type.Optional(Type.Integer({ description: '1 is next' })),
    section: ref(Section),
  },
  { $id: 'ScheduleEntry' },
);

export const Schedule = Type.Object(
  {
    items: Type.Array(ref(ScheduleEntry)),
    credits: Type.Integer({ description: 'enrolled and reserved' }),
    asOf: textOrNull('up to when this is known'),
  },
  { $id: 'Schedule' },
);

export const CalendarKey = Type.Object(
  {
    key: Type.String({ description: 'shown this once; who knows it reads the calendar' }),
    url: Type.String({ description: 'where a calendar program subscribes, from the root of this server' }),
  },
  { $id: 'CalendarKey' },
);

const AccountEntry = Type.Object(
  {
    id: Id,
    registrationId: Type.Optional(Uuid),
    term: Type.Optional(Id),
    kind: Type.String({ description: 'tuition, fee, materials, payment, refund, reversal' }),
    description: Type.String(),
    amount: ref(Money),
    at: Instant,
  },
  { $id: 'AccountEntry', description: 'charges are positive, payments and refunds negative' },
);

export const StudentAccount = Type.Object(
  {
    balance: ref(Money),
    items: Type.Array(ref(AccountEntry)),
    nextCursor: Type.Optional(Type.String()),
    asOf: textOrNull('up to when this is known'),
  },
  { $id: 'StudentAccount' },
);

export const meSchemas = [Standing, Me, ScheduleEntry, Schedule, CalendarKey, AccountEntry, StudentAccount];
