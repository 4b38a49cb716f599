import { describe, expect, test } from 'vitest';
import { wordOf } from '#lib/words';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import {
  type Item,
  Mode,
  Outcome,
  OutcomeSchema,
  RegistrationStatus as Status,
} from '#proto/enrollment/v1/registration';
import { MORNING, NOW, requestOf, sectionOf, snapshotOf } from './decide.testing.ts';
import { decide, decideAll } from './decide.ts';

const { ENROLLED, RESERVED, WAITLISTED, REFUSED, DROPPED } = Outcome;

/** What a student reads of each item: its reason where it was refused, its outcome otherwise. */
function readings(items: Item[]): string[] {
  return items.map(({ sectionId, outcome, reason }) => `${sectionId} ${reason || wordOf(OutcomeSchema, outcome)}`);
}

function decided(...parameters: [Parameters<typeof decide>[0], Parameters<typeof decide>[1]]): string[] {
  return readings(decide(...parameters, NOW).items);
}

describe('each rule', () => {
  test('an open section with a seat is reserved', () => {
    expect(decided(snapshotOf([sectionOf('A')]), requestOf('anna', { adds: ['A'] }))).toEqual(['A reserved']);
  });

  test('a section that nobody knows is refused', () => {
    expect(decided(snapshotOf([]), requestOf('anna', { adds: ['A'] }))).toEqual(['A unknown-section']);
  });

  test.each([SectionStatus.CLOSED, SectionStatus.CANCELLED])('a section with status %s is refused', (status) => {
    const snapshot = snapshotOf([sectionOf('A', { status })]);
    expect(decided(snapshot, requestOf('anna', { adds: ['A'] }))).toEqual(['A section-closed']);
  });

  test.each([RESERVED, ENROLLED, WAITLISTED] as const)(
    'a student who has outcome %s there already is refused',
    (has) => {
      const snapshot = snapshotOf([sectionOf('A', { capacity: 9 })], { anna: { A: has } });
      expect(decided(snapshot, requestOf('anna', { adds: ['A'] }))).toEqual(['A already-enrolled']);
    },
  );

  test('what meets at the time of a held section is refused', () => {
    const sections = [sectionOf('A', { meetings: [MORNING] }), sectionOf('B', { meetings: [MORNING] })];
    const add = requestOf('anna', { adds: ['B'] });
    expect(decided(snapshotOf(sections, { anna: { A: ENROLLED } }), add)).toEqual(['B time-conflict']);
    expect(decided(snapshotOf(sections, { anna: { A: RESERVED } }), add)).toEqual(['B time-conflict']);
    expect(decided(snapshotOf(sections, { ben: { A: ENROLLED } }), add)).toEqual(['B reserved']);
  });

  test('a place on a waitlist takes no time and no credits', () => {
    const words = { meetings: [MORNING], credits: 12 };
    const snapshot = snapshotOf([sectionOf('A', words), sectionOf('B', words)], { anna: { A: WAITLISTED } });
    expect(decided(snapshot, requestOf('anna', { adds: ['B'] }))).toEqual(['B reserved']);
  });

  test('another term takes neither time nor credits of this one', () => {
    const words = { meetings: [MORNING], credits: 12 };
    const sections = [sectionOf('A', { ...words, termId: 'T2' }), sectionOf('B', words)];
    const snapshot = snapshotOf(sections, { anna: { A: ENROLLED } });
    expect(decided(snapshot, requestOf('anna', { adds: ['B'] }))).toEqual(['B reserved']);
  });

  test('credits up to the limit are granted, one more is refused', () => {
    const sections = [sectionOf('A', { credits: 18 }), sectionOf('B', { credits: 4 }), sectionOf('C', { credits: 1 })];
    const snapshot = snapshotOf(sections, { anna: { A: ENROLLED } });
    const adds = requestOf('anna', { adds: ['B', 'C'] });
    expect(decided(snapshot, adds)).toEqual(['B reserved', 'C credit-limit']);
  });

  test('a full section is refused, unless the registrar allowed one more', () => {
    const add = requestOf('anna', { adds: ['A'] });
    expect(decided(snapshotOf([sectionOf('A', { taken: 1 })]), add)).toEqual(['A section-full']);
    expect(decided(snapshotOf([sectionOf('A', { taken: 1, overLimit: 1 })]), add)).toEqual(['A reserved']);
  });

  test('a waitlist is joined by those who asked for it, until it is full', () => {
    const full = { taken: 1, waitlistCapacity: 2 };
    const waiting = requestOf('anna', { adds: ['A'], orWaitlist: true });
    const [item] = decide(snapshotOf([sectionOf('A', { ...full, waitlisted: 1 })]), waiting, NOW).items;
    expect(item).toMatchObject({ outcome: WAITLISTED, waitlistPosition: 2 });
    expect(decided(snapshotOf([sectionOf('A', { ...full, waitlisted: 2 })]), waiting)).toEqual(['A waitlist-full']);
    expect(decided(snapshotOf([sectionOf('A', full)]), requestOf('anna', { adds: ['A'] }))).toEqual(['A section-full']);
  });

  test('a free seat is not given to a newcomer while others wait', () => {
    const snapshot = snapshotOf([sectionOf('A', { capacity: 2, taken: 1, waitlistCapacity: 5, waitlisted: 1 })]);
    expect(decided(snapshot, requestOf('anna', { adds: ['A'] }))).toEqual(['A section-full']);
    expect(decided(snapshot, requestOf('anna', { adds: ['A'], orWaitlist: true }))).toEqual(['A waitlisted']);
  });
});

describe('drops', () => {
  const sections = [sectionOf('A', { meetings: [MORNING], taken: 1 }), sectionOf('B', { meetings: [MORNING] })];

  test('are decided before adds, which may use the time they free', () => {
    const snapshot = snapshotOf(sections, { anna: { A: ENROLLED } });
    expect(decided(snapshot, requestOf('anna', { adds: ['B'], drops: ['A'] }))).toEqual(['A dropped', 'B reserved']);
  });

  test('name the registration that had enrolled, which is who to settle with', () => {
    const snapshot = snapshotOf(sections, { anna: { A: ENROLLED } });
    const decision = decide(snapshot, requestOf('anna', { drops: ['A'] }), NOW);
    expect(decision).toMatchObject({ status: Status.PENDING, items: [{ outcome: DROPPED, enrolledBy: 'earlier' }] });
  });

  test('of a section that was cancelled say so, since all of it is paid back', () => {
    const cancelled = sectionOf('A', { taken: 1, status: SectionStatus.CANCELLED });
    const snapshot = snapshotOf([cancelled, sectionOf('B', { taken: 1, status: SectionStatus.CLOSED })], {
      anna: { A: ENROLLED, B: ENROLLED },
    });
    expect(decide(snapshot, requestOf('anna', { drops: ['A', 'B'] }), NOW).items).toMatchObject([
      { outcome: DROPPED, sectionCancelled: true, reason: 'section-cancelled', enrolledBy: 'earlier' },
      { outcome: DROPPED, sectionCancelled: false, reason: '' },
    ]);
  });

  test('of a place on a waitlist end at once, since nothing was paid', () => {
    const snapshot = snapshotOf(sections, { anna: { A: WAITLISTED } });
    const decision = decide(snapshot, requestOf('anna', { drops: ['A'] }), NOW);
    expect(decision).toMatchObject({ status: Status.COMPLETED, items: [{ outcome: DROPPED, enrolledBy: '' }] });
  });

  test('of a seat that is only reserved are refused, and free no time', () => {
    const snapshot = snapshotOf(sections, { anna: { A: RESERVED } });
    const swap = requestOf('anna', { adds: ['B'], drops: ['A'] });
    expect(decided(snapshot, swap)).toEqual(['A not-enrolled', 'B time-conflict']);
  });

  test('of what the student does not have are refused', () => {
    const snapshot = snapshotOf(sections, { ben: { A: ENROLLED } });
    const decision = decide(snapshot, requestOf('anna', { drops: ['A'] }), NOW);
    expect(decision).toMatchObject({ status: Status.REFUSED, items: [{ outcome: REFUSED, reason: 'not-enrolled' }] });
  });
});

describe('one request', () => {
  const sections = [sectionOf('A', { meetings: [MORNING] }), sectionOf('B', { meetings: [MORNING] }), sectionOf('C')];

  test('in mode each keeps what can be had', () => {
    const request = requestOf('anna', { adds: ['A', 'B', 'C'] });
    expect(decided(snapshotOf(sections), request)).toEqual(['A reserved', 'B time-conflict', 'C reserved']);
  });

  test('that is all or nothing takes nothing where one add is refused, and keeps the reason of that one', () => {
    const request = requestOf('anna', { adds: ['A', 'B', 'C'], mode: Mode.ALL_OR_NOTHING });
    const { decisions, sections: changed } = decideAll(snapshotOf(sections), [request], NOW);
    expect(readings(decisions[0]?.items ?? [])).toEqual(['A all-or-nothing', 'B time-conflict', 'C all-or-nothing']);
    expect(decisions[0]?.status).toBe(Status.REFUSED);
    expect(changed.size).toBe(0);
  });

  test('that is all or nothing takes everything where nothing is refused', () => {
    const request = requestOf('anna', { adds: ['A', 'C'], mode: Mode.ALL_OR_NOTHING });
    expect(decided(snapshotOf(sections), request)).toEqual(['A reserved', 'C reserved']);
  });

  test('that only joined a waitlist is completed: no saga has anything to do', () => {
    const snapshot = snapshotOf([sectionOf('A', { taken: 1, waitlistCapacity: 1 })]);
    const { status } = decide(snapshot, requestOf('anna', { adds: ['A'], orWaitlist: true }), NOW);
    expect(status).toBe(Status.COMPLETED);
  });
});

describe('requests of one batch', () => {
  test('see what those before them took', () => {
    const requests = ['anna', 'ben'].map((student) => requestOf(student, { adds: ['A'] }));
    const { decisions, sections } = decideAll(snapshotOf([sectionOf('A')]), requests, NOW);
    expect(decisions.flatMap(({ items }) => readings(items))).toEqual(['A reserved', 'A section-full']);
    expect(sections.get('A')).toMatchObject({ taken: 1, version: 2n });
  });

  test('get a seat that one before them dropped', () => {
    const snapshot = snapshotOf([sectionOf('A', { taken: 1 })], { anna: { A: ENROLLED } });
    const requests = [requestOf('anna', { drops: ['A'] }), requestOf('ben', { adds: ['A'] })];
    const { decisions, sections } = decideAll(snapshot, requests, NOW);
    expect(decisions.flatMap(({ items }) => readings(items))).toEqual(['A dropped', 'A reserved']);
    expect(sections.get('A')).toMatchObject({ taken: 1 });
  });

  test('get numbers on a waitlist that only grow, so that a place that was left is not passed on', () => {
    const snapshot = snapshotOf([sectionOf('A', { taken: 1, waitlistCapacity: 2 })]);
    const requests = [
      requestOf('anna', { adds: ['A'], orWaitlist: true }),
      requestOf('anna', { registrationId: 'leaves', drops: ['A'] }),
      requestOf('ben', { adds: ['A'], orWaitlist: true }),
    ];
    const { decisions, sections, waitlistNumbers } = decideAll(snapshot, requests, NOW);
    expect(decisions.map(({ items }) => items[0]?.waitlistPosition)).toEqual([1, 0, 1]);
    expect(Object.fromEntries(waitlistNumbers)).toEqual({ 'of-anna/A': 1n, 'of-ben/A': 2n });
    expect(sections.get('A')).toMatchObject({ waitlisted: 1, waitlistNext: 3n });
  });
});
