/** The rule book: each rule looks at one add and says why not, or nothing. The first that speaks is what the student reads. */
import { Outcome } from '#proto/enrollment/v1/registration';
import { hasSeat, hasWaitlistPlace, isOpen, type Section, type SectionFacts } from './section.ts';
import { collide } from './timetable.ts';

export interface RefusedBy {
  reason: string;
  /** For the student. */
  sentence: string;
  remedy: string;
}

/** A live enrollment of the student, or an add of the same request that was granted before. */
export interface Place {
  facts: SectionFacts;
  outcome: typeof Outcome.RESERVED | typeof Outcome.ENROLLED | typeof Outcome.WAITLISTED;
  registrationId: string;
}

export interface Question {
  section: Section;
  /** What the student has, drops of the same request left out. */
  places: readonly Place[];
  orWaitlist: boolean;
  /** No rule asks for the time yet; one about when registration opens will, and a pure function cannot look at a clock. */
  now: Date;
}

export type Rule = (question: Question) => RefusedBy | undefined;

function sectionOpen({ section }: Question): RefusedBy | undefined {
  if (isOpen(section)) return undefined;
  return refused('section-closed', 'This section is not open for registration.', 'Choose another section.');
}

function notTwice({ section, places }: Question): RefusedBy | undefined {
  const own = places.find(({ facts }) => facts.id === section.facts.id);
  if (!own) return undefined;
  const how = own.outcome === Outcome.WAITLISTED ? 'on the waitlist of' : 'in';
  return refused('already-enrolled', `You are ${how} this section already.`);
}

function noTimeConflict({ section, places }: Question): RefusedBy | undefined {
  const other = held(section, places).find(({ facts }) => collide(section.facts.occurrences, facts.occurrences));
  if (!other) return undefined;
  const sentence = `It meets at the same time as ${other.facts.courseCode} (${other.facts.id}).`;
  return refused('time-conflict', sentence, `Choose another section, or drop ${other.facts.id} first.`);
}

function withinCreditLimit({ section, places }: Question): RefusedBy | undefined {
  const credits = held(section, places).reduce((sum, { facts }) => sum + facts.credits, 0);
  if (credits + section.facts.credits <= section.termCreditsMax) return undefined;
  const sentence = `With it you would have ${credits + section.facts.credits} credits; the limit is ${section.termCreditsMax}.`;
  return refused('credit-limit', sentence, 'Drop a section first, or ask the registrar for a higher limit.');
}

function seatOrWaitlist({ section, orWaitlist }: Question): RefusedBy | undefined {
  if (hasSeat(section)) return undefined;
  if (!orWaitlist) {
    const remedy = hasWaitlistPlace(section)
      ? 'Ask for its waitlist, or choose another section.'
      : 'Choose another section.';
    return refused('section-full', 'All seats of this section are taken.', remedy);
  }
  if (hasWaitlistPlace(section)) return undefined;
  return refused(
    'waitlist-full',
    'All seats are taken, and so is every place on the waitlist.',
    'Choose another section.',
  );
}

/** Cheap and final reasons first, seats last. A new rule is a function above and its name here. */
export const rules: readonly Rule[] = [sectionOpen, notTwice, noTimeConflict, withinCreditLimit, seatOrWaitlist];

export function firstRefusal(question: Question): RefusedBy | undefined {
  for (const rule of rules) {
    const refusal = rule(question);
    if (refusal) return refusal;
  }
  return undefined;
}

/** What fills the student's time and credits in the section's term; a place on a waitlist fills neither. */
function held({ facts: { termId } }: Section, places: readonly Place[]): Place[] {
  return places.filter(({ facts, outcome }) => facts.termId === termId && outcome !== Outcome.WAITLISTED);
}

export function refused(reason: string, sentence: string, remedy = ''): RefusedBy {
  return { reason, sentence, remedy };
}
