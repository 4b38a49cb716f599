/** What a student of the demo asks for. */
import type { Static } from 'typebox';
import type { NewRegistration } from '../../edge/schema/registration.ts';
import type { Section as SectionSchema } from '../../edge/schema/section.ts';
import type { Random } from './random.ts';

export type Section = Static<typeof SectionSchema>;
export type Wish = Static<typeof NewRegistration>;

const SECTIONS_MIN = 3;
const SECTIONS_MAX = 5;
/** A student who looks for so long takes what there is. */
const LOOKS_MAX = 200;

/** Nearly everybody can pay. */
const cards = [
  ['tok_ok', 82],
  ['tok_declined', 4],
  ['tok_insufficient_funds', 3],
  ['tok_slow', 4],
  ['tok_timeout_charged', 3],
  ['tok_flaky', 4],
] as const;

const percentOf = {
  buyingMaterials: 40,
  allOrNothing: 15,
  acceptingWaitlist: 50,
  /** Who does not look whether meetings overlap. */
  careless: 10,
};

/** Sections with how much they are wanted: few by many, many by few. */
export type Taste = readonly (readonly [Section, number])[];

/** The campus's taste, which all its students share. */
export function tasteOf(sections: readonly Section[], random: Random): Taste {
  return sections
    .map((section) => ({ section, place: random.next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ section }, index) => [section, 1 / (index + 1)]);
}

/** The next student's wish: different courses, with seats or without. */
export function nextWish(taste: Taste, random: Random): Wish {
  const picked = pick(taste, random);
  return {
    adds: picked.map(({ id }) => ({ sectionId: id, orWaitlist: random.happens(percentOf.acceptingWaitlist) })),
    mode: random.happens(percentOf.allOrNothing) ? 'all-or-nothing' : 'each',
    materials: random.happens(percentOf.buyingMaterials) ? 'buy' : 'none',
    paymentMethod: random.weighted(cards),
  };
}

function pick(taste: Taste, random: Random): Section[] {
  const count = SECTIONS_MIN + Math.floor(random.next() * (SECTIONS_MAX - SECTIONS_MIN + 1));
  const isCareless = random.happens(percentOf.careless);
  const picked: Section[] = [];
  for (let look = 0; look < LOOKS_MAX && picked.length < count; look++) {
    const section = random.weighted(taste);
    const isUnfit = (other: Section) =>
      other.course.id === section.course.id || (!isCareless && overlap(other, section));
    if (!picked.some(isUnfit)) picked.push(section);
  }
  return picked;
}

/** Whether weekly meetings of both are at the same time. */
function overlap(one: Section, other: Section): boolean {
  return one.meetings.some((mine) =>
    other.meetings.some(
      (theirs) =>
        mine.days.some((day) => theirs.days.includes(day)) &&
        (mine.startsAt ?? '') < (theirs.endsAt ?? '') &&
        (theirs.startsAt ?? '') < (mine.endsAt ?? ''),
    ),
  );
}
