import { create } from '@bufbuild/protobuf';
import { type NewAccount, NewAccountSchema } from '#proto/identity/v1/service';
import { readTable } from './tables.ts';

/** Of every demo account. */
export const DEMO_PASSWORD = 'registrar-demo';

const STUDENTS_COUNT = 500;
const INSTRUCTORS_COUNT = 40;
const DOMAIN = 'campus.example';

const origins = readTable('names.tsv', ['given', 'family']).map(({ given, family }) => ({
  given: given.split(', '),
  family: family.split(', '),
}));

/** The n-th person's name, all different: neighbours come from different parts of the world. */
function nameOf(n: number): string {
  const origin = origins[n % origins.length];
  const round = Math.floor(n / origins.length);
  const given = origin?.given[round % 10];
  const family = origin?.family[(round * 3 + Math.floor(round / 10)) % 10];
  if (!given || !family) throw new Error('names.tsv must have ten given and ten family names in each row');
  return `${given} ${family}`;
}

function accountOf(id: string, role: string, n: number, mailbox = id): NewAccount {
  const account = { id, email: `${mailbox}@${DOMAIN}`, name: nameOf(n), roles: [role] };
  return create(NewAccountSchema, { account, password: DEMO_PASSWORD });
}

function numbered(count: number, digits: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index + 1).padStart(digits, '0'));
}

export const staff: NewAccount = accountOf('staff-01', 'staff', 0, 'staff');

export const instructors: NewAccount[] = numbered(INSTRUCTORS_COUNT, 2).map((number, index) =>
  accountOf(`instructor-${number}`, 'instructor', 1 + index),
);

export const students: NewAccount[] = numbered(STUDENTS_COUNT, 3).map((number, index) =>
  accountOf(`student-${number}`, 'student', 1 + INSTRUCTORS_COUNT + index),
);
