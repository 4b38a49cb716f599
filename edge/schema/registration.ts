import { Type } from 'typebox';
import { closed, Id, Instant, line, Money, pageOf, ref, Uuid, word } from './elements.ts';
import { Reason } from './reason.ts';

const ITEMS_MAX = 20;

export const statusWords = ['pending', 'completed', 'undone', 'refused', 'cancelled'] as const;
const outcomeWords = ['reserved', 'enrolled', 'waitlisted', 'refused', 'released', 'dropped'] as const;
export const modeWords = ['each', 'all-or-nothing'] as const;
export const materialsWords = ['buy', 'none'] as const;

const Add = closed({ sectionId: Id, orWaitlist: Type.Optional(Type.Boolean({ default: false })) }, { $id: 'Add' });

export const NewRegistration = closed(
  {
    adds: Type.Optional(Type.Array(ref(Add), { maxItems: ITEMS_MAX })),
    drops: Type.Optional(Type.Array(Id, { maxItems: ITEMS_MAX })),
    mode: Type.Optional(word(modeWords)),
    paymentMethod: Type.Optional(
      line({
        maxLength: 200,
        description:
          'card token of the payment provider; absent: the demo students’ `tok_ok`, where the platform runs for a demo',
      }),
    ),
    materials: Type.Optional(word(materialsWords)),
    studentId: Type.Optional(line({ minLength: 1, maxLength: 100, description: 'for staff: whose' })),
  },
  { $id: 'NewRegistration' },
);

const RegistrationItem = Type.Object(
  {
    sectionId: Id,
    action: word(['add', 'drop']),
    outcome: word(outcomeWords),
    reason: Type.Optional(ref(Reason, 'the rule that said no')),
    detail: Type.Optional(Type.String({ description: 'the reason as a sentence' })),
    remedy: Type.Optional(Type.String()),
    waitlistPosition: Type.Optional(Type.Integer({ description: '1 is next' })),
  },
  { $id: 'RegistrationItem' },
);

const RegistrationStep = Type.Object(
  { name: Type.String(), status: Type.String(), at: Instant },
  { $id: 'RegistrationStep' },
);

export const Registration = Type.Object(
  {
    id: Uuid,
    studentId: Id,
    status: word(statusWords),
    mode: word(modeWords),
    items: Type.Array(ref(RegistrationItem)),
    steps: Type.Array(ref(RegistrationStep), { description: 'what the saga has done so far, oldest first' }),
    total: Type.Optional(ref(Money)),
    reason: Type.Optional(ref(Reason, 'why it was undone')),
    requestedAt: Type.Optional(Instant),
    endedAt: Type.Optional(Instant),
  },
  { $id: 'Registration' },
);

/** What would become of a request. */
export const Forecast = Type.Object(
  {
    studentId: Id,
    status: word(statusWords),
    mode: word(modeWords),
    items: Type.Array(ref(RegistrationItem)),
  },
  { $id: 'Forecast' },
);

export const RegistrationPage = pageOf(Registration);

export const registrationSchemas = [
  Add,
  NewRegistration,
  RegistrationItem,
  RegistrationStep,
  Registration,
  Forecast,
  RegistrationPage,
];
