import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Day } from '#proto/catalog/v1/catalog';
import { type Item, Mode, Outcome } from '#proto/enrollment/v1/registration';
import type { RegisterRequest } from '#proto/enrollment/v1/service';
import { afterwards, NOW, requestOf, sectionOf, snapshotOf, weekly } from './decide.testing.ts';
import { type Decided, type Decision, decideAll, isGranted, type Snapshot } from './decide.ts';
import { collide } from './timetable.ts';

const RUNS = 400;
const SECTIONS = ['A', 'B', 'C', 'D', 'E'];
const STUDENTS = ['anna', 'ben', 'cem', 'dora', 'eva', 'finn'];
const REQUESTS_MAX = 30;

const meeting = fc
  .record({ day: fc.constantFrom(Day.MONDAY, Day.TUESDAY), hour: fc.integer({ min: 8, max: 10 }) })
  .map(({ day, hour }) => weekly([day], `${hour}:00`, `${hour}:50`));

const campus = fc
  .record({
    sections: fc.tuple(
      ...SECTIONS.map((id) =>
        fc
          .record({
            capacity: fc.integer({ min: 0, max: 3 }),
            overLimit: fc.integer({ min: 0, max: 1 }),
            waitlistCapacity: fc.integer({ min: 0, max: 2 }),
            credits: fc.integer({ min: 1, max: 5 }),
            meetings: fc.array(meeting, { maxLength: 2 }),
          })
          .map((words) => sectionOf(id, { ...words, termCreditsMax: 9 })),
      ),
    ),
  })
  .map(({ sections }) => snapshotOf(sections));

const request = fc
  .record({
    studentId: fc.constantFrom(...STUDENTS),
    sections: fc.uniqueArray(fc.constantFrom(...SECTIONS), { minLength: 1 }),
    addsCount: fc.nat(SECTIONS.length),
    orWaitlist: fc.boolean(),
    isAllOrNothing: fc.boolean(),
  })
  .map(({ studentId, sections, addsCount, orWaitlist, isAllOrNothing }) => ({
    studentId,
    orWaitlist,
    adds: isAllOrNothing ? sections : sections.slice(0, addsCount),
    drops: isAllOrNothing ? [] : sections.slice(addsCount),
    mode: isAllOrNothing ? Mode.ALL_OR_NOTHING : Mode.EACH,
  }));

function requestsOf(name: string) {
  return fc
    .array(request, { minLength: 1, maxLength: REQUESTS_MAX })
    .map((all) =>
      all.map(({ studentId, ...words }, n) => requestOf(studentId, { ...words, registrationId: `${name}-${n}` })),
    );
}

/** Decides a first batch, lets its sagas end, and checks the second, so that there is something to drop and to collide with. */
function always(check: (before: Snapshot, batch: RegisterRequest[], decided: Decided) => void): void {
  fc.assert(
    fc.property(campus, requestsOf('first'), requestsOf('second'), (empty, first, second) => {
      const before = ended(empty, first, decideAll(empty, first, NOW));
      check(before, second, decideAll(before, second, NOW));
    }),
    { numRuns: RUNS },
  );
}

/** The same, one request after the other; answers the snapshot in the end. */
function eachAlone(
  before: Snapshot,
  batch: RegisterRequest[],
  check: (at: Snapshot, one: RegisterRequest, decided: Decided) => void,
): Snapshot {
  return batch.reduce((at, one) => {
    const decided = decideAll(at, [one], NOW);
    check(at, one, decided);
    return afterwards(at, { requests: [one], decided, seats: Outcome.RESERVED });
  }, before);
}

function countsOf({ places }: Snapshot, sectionId: string): { taken: number; waitlisted: number } {
  const outcomes = [...places.values()].flatMap((own) => own.get(sectionId)?.outcome ?? []);
  const waitlisted = outcomes.filter((outcome) => outcome === Outcome.WAITLISTED).length;
  return { taken: outcomes.length - waitlisted, waitlisted };
}

test('no section is ever over its capacity and allowance, and its counters count who is there', () => {
  always((before, batch, decided) => {
    const after = ended(before, batch, decided);
    for (const [id, section] of after.sections) {
      expect(section).toMatchObject(countsOf(after, id));
      expect(section.taken).toBeLessThanOrEqual(section.capacity + section.overLimit);
      expect(section.waitlisted).toBeLessThanOrEqual(section.waitlistCapacity);
    }
  });
});

test('no student ever has a time conflict or more credits than the limit', () => {
  always((before, batch, decided) => {
    for (const own of ended(before, batch, decided).places.values()) {
      const held = [...own.values()].filter(({ outcome }) => outcome !== Outcome.WAITLISTED).map(({ facts }) => facts);
      for (const [n, one] of held.entries()) {
        for (const other of held.slice(n + 1)) expect(collide(one.occurrences, other.occurrences)).toBe(false);
      }
      expect(held.reduce((sum, { credits }) => sum + credits, 0)).toBeLessThanOrEqual(9);
    }
  });
});

test('no student is ever given a place in a section where they have one', () => {
  always((before, batch, decided) => {
    const has = new Set(
      [...before.places].flatMap(([id, own]) => [...own.keys()].map((section) => `${id}/${section}`)),
    );
    for (const [n, { studentId }] of batch.entries()) {
      for (const { sectionId, outcome } of granted(decided, n)) {
        const place = `${studentId}/${sectionId}`;
        expect(has.has(place)).toBe(outcome === Outcome.DROPPED);
        if (outcome === Outcome.DROPPED) has.delete(place);
        else has.add(place);
      }
    }
  });
});

test('a later request gets no seat that an earlier one was refused for lack of seats, unless one was given back between', () => {
  always((_before, batch, decided) => {
    const refusedSince = new Set<string>();
    for (const n of batch.keys()) {
      const items = decided.decisions[n]?.items ?? [];
      for (const { sectionId, outcome } of items) if (outcome === Outcome.DROPPED) refusedSince.delete(sectionId);
      for (const { sectionId, outcome } of items) {
        if (outcome === Outcome.RESERVED) expect(refusedSince).not.toContain(sectionId);
      }
      for (const { sectionId, reason } of items) {
        if (reason === 'section-full' || reason === 'waitlist-full') refusedSince.add(sectionId);
      }
    }
  });
});

test('nobody gets a seat while others wait for the section', () => {
  always((before, batch) => {
    eachAlone(before, batch, (at, _one, decided) => {
      for (const { sectionId, outcome } of granted(decided, 0)) {
        if (outcome === Outcome.RESERVED) expect(countsOf(at, sectionId).waitlisted).toBe(0);
      }
    });
  });
});

test('all or nothing grants all adds or takes nothing', () => {
  always((before, batch) => {
    eachAlone(before, batch, (_at, { mode, adds }, decided) => {
      if (mode !== Mode.ALL_OR_NOTHING || granted(decided, 0).length === adds.length) return;
      expect(granted(decided, 0)).toEqual([]);
      expect(decided.sections.size).toBe(0);
      expect(decided.waitlistNumbers.size).toBe(0);
    });
  });
});

test('deciding a batch is deciding one request after the other', () => {
  always((before, batch, decided) => {
    const decisions: Decision[] = [];
    const numbers = new Map<string, bigint>();
    const after = eachAlone(before, batch, (_at, _one, alone) => {
      decisions.push(...alone.decisions);
      for (const [place, number] of alone.waitlistNumbers) numbers.set(place, number);
    });
    expect(decisions).toEqual(decided.decisions);
    expect(numbers).toEqual(decided.waitlistNumbers);
    for (const [id, section] of decided.sections) {
      // A version counts transactions, not requests.
      expect({ ...after.sections.get(id), version: 0n }).toEqual({ ...section, version: 0n });
    }
  });
});

test('deciding changes nothing of what it was given', () => {
  always((before, batch) => {
    const copy = structuredClone({ before, batch });
    decideAll(before, batch, NOW);
    expect({ before, batch }).toEqual(copy);
  });
});

function ended(before: Snapshot, requests: RegisterRequest[], decided: Decided): Snapshot {
  return afterwards(before, { requests, decided, seats: Outcome.ENROLLED });
}

function granted(decided: Decided, n: number): Item[] {
  return (decided.decisions[n]?.items ?? []).filter(isGranted);
}
