/**
 * Decides registrations: a pure function over a snapshot, which touches nothing. The engine locks what the snapshot shows, so that
 * what is decided here is still true when it is written.
 */
import { create } from '@bufbuild/protobuf';
import {
  Action,
  type Item,
  ItemSchema,
  Mode,
  Outcome,
  RegistrationStatus as Status,
} from '#proto/enrollment/v1/registration';
import type { RegisterRequest } from '#proto/enrollment/v1/service';
import { firstRefusal, type Place, type RefusedBy, refused } from './rules.ts';
import { hasSeat, isCancelled, type Section } from './section.ts';

const SECTION_CANCELLED = {
  ...refused(
    'section-cancelled',
    'This section was cancelled.',
    'Choose another one; what this one cost is paid back.',
  ),
  sectionCancelled: true,
};

/** Everything the rules may look at, as it is in the database at this moment. */
export interface Snapshot {
  /** By id; a section that is not here is not known. */
  sections: ReadonlyMap<string, Section>;
  /** Live enrollments by student and then section. */
  places: ReadonlyMap<string, ReadonlyMap<string, Place>>;
}

export interface Decision {
  status: Status;
  /** Drops first, as they are decided first, then adds, each in the order of the request. */
  items: Item[];
}

/** What changed in the snapshot: to be written. */
export interface Decided {
  decisions: Decision[];
  /** Sections as they are afterwards; only those that changed. */
  sections: Map<string, Section>;
  /** Numbers given to those who now wait, by `registration/section`. */
  waitlistNumbers: Map<string, bigint>;
  /** Places that drops have ended, by `registration/section` of the drop. */
  endedPlaces: Map<string, Place>;
}

/** Decides requests one after the other, in order: each sees what those before it took. */
export function decideAll(snapshot: Snapshot, requests: readonly RegisterRequest[], now: Date): Decided {
  const draft = new Draft(snapshot);
  const decisions = requests.map((request) => {
    const decision = decide(draft, request, now);
    draft.take(request, decision);
    return decision;
  });
  const { changed: sections, waitlistNumbers, endedPlaces } = draft;
  return { decisions, sections, waitlistNumbers, endedPlaces };
}

/** Decides one request. Adds count what the drops of the same request give back to the student. */
export function decide(snapshot: Snapshot, request: RegisterRequest, now: Date): Decision {
  const own = snapshot.places.get(request.studentId) ?? new Map<string, Place>();
  const drops = request.drops.map((sectionId) =>
    decideDrop(own.get(sectionId), sectionId, snapshot.sections.get(sectionId)),
  );
  const dropped = new Set(drops.filter(isGranted).map(({ sectionId }) => sectionId));
  const places = [...own.values()].filter(({ facts }) => !dropped.has(facts.id));

  const adds: Item[] = [];
  for (const { sectionId, orWaitlist } of request.adds) {
    const section = snapshot.sections.get(sectionId);
    const item = section
      ? decideAdd(section, places, orWaitlist, now)
      : refusedItem(sectionId, Action.ADD, refused('unknown-section', `There is no section ${sectionId}.`));
    adds.push(item);
    if (section && isGranted(item)) places.push(placeOf(section, item, request.registrationId));
  }

  const items = [...drops, ...(request.mode === Mode.ALL_OR_NOTHING ? allOrNothing(adds) : adds)];
  return { status: statusOf(items), items };
}

function decideAdd(section: Section, places: readonly Place[], orWaitlist: boolean, now: Date): Item {
  const { facts } = section;
  const refusal = firstRefusal({ section, places, orWaitlist, now });
  if (refusal) return refusedItem(facts.id, Action.ADD, refusal);
  const seat = hasSeat(section);
  const { id: sectionId, termId, courseId, credits, fee, materials } = facts;
  return create(ItemSchema, {
    sectionId,
    action: Action.ADD,
    outcome: seat ? Outcome.RESERVED : Outcome.WAITLISTED,
    waitlistPosition: seat ? 0 : section.waitlisted + 1,
    termId,
    courseId,
    credits,
    ...(fee && { fee }),
    materials,
  });
}

function decideDrop(place: Place | undefined, sectionId: string, section: Section | undefined): Item {
  if (!place) return refusedItem(sectionId, Action.DROP, refused('not-enrolled', 'You are not in this section.'));
  if (place.outcome === Outcome.RESERVED) {
    const sentence = 'Your seat in this section is reserved, and not enrolled yet.';
    return refusedItem(
      sectionId,
      Action.DROP,
      refused('not-enrolled', sentence, 'Cancel the registration that reserved it.'),
    );
  }
  const { termId, courseId, credits, fee } = place.facts;
  // Who only waited has paid nothing: there is nobody to settle with.
  const enrolledBy = place.outcome === Outcome.ENROLLED ? place.registrationId : '';
  const facts = { termId, courseId, credits, ...(fee && { fee }), enrolledBy };
  const cancelled = section && isCancelled(section) ? SECTION_CANCELLED : undefined;
  return create(ItemSchema, { sectionId, action: Action.DROP, outcome: Outcome.DROPPED, ...facts, ...cancelled });
}

/** One add refused refuses them all. */
function allOrNothing(adds: Item[]): Item[] {
  if (adds.every(isGranted)) return adds;
  const sentence = 'Another section of this request was refused, and the request was all or nothing.';
  const refusal = refused('all-or-nothing', sentence, 'Replace that section, or ask for each on its own.');
  return adds.map((item) => (isGranted(item) ? refusedItem(item.sectionId, Action.ADD, refusal) : item));
}

function refusedItem(sectionId: string, action: Action, refusal: RefusedBy): Item {
  return create(ItemSchema, { sectionId, action, outcome: Outcome.REFUSED, ...refusal });
}

export function isGranted({ outcome }: Item): boolean {
  return outcome !== Outcome.REFUSED;
}

/** A reserved seat and a drop of an enrolled one have a saga to come; a place on a waitlist has none. */
function statusOf(items: Item[]): Status {
  if (items.some(needsSaga)) return Status.PENDING;
  return items.some(isGranted) ? Status.COMPLETED : Status.REFUSED;
}

export function needsSaga({ outcome, enrolledBy }: Item): boolean {
  return outcome === Outcome.RESERVED || (outcome === Outcome.DROPPED && enrolledBy !== '');
}

function placeOf(section: Section, item: Item, registrationId: string): Place {
  const outcome = item.outcome === Outcome.RESERVED ? Outcome.RESERVED : Outcome.WAITLISTED;
  return { facts: section.facts, outcome, registrationId };
}

/** A snapshot on which decisions take effect; the one it was made from stays as it was. */
class Draft implements Snapshot {
  readonly sections: Map<string, Section>;
  readonly places: Map<string, Map<string, Place>>;
  readonly changed = new Map<string, Section>();
  readonly waitlistNumbers = new Map<string, bigint>();
  readonly endedPlaces = new Map<string, Place>();

  constructor(snapshot: Snapshot) {
    this.sections = new Map(snapshot.sections);
    this.places = new Map([...snapshot.places].map(([studentId, places]) => [studentId, new Map(places)]));
  }

  take(request: RegisterRequest, { items }: Decision): void {
    const own = this.places.get(request.studentId) ?? new Map<string, Place>();
    this.places.set(request.studentId, own);
    for (const item of items.filter(isGranted)) {
      if (item.action === Action.DROP) this.#drop(own, item, request.registrationId);
      else this.#add(own, item, request.registrationId);
    }
  }

  #add(own: Map<string, Place>, item: Item, registrationId: string): void {
    const section = this.#change(item.sectionId);
    if (!section) return;
    if (item.outcome === Outcome.RESERVED) section.taken++;
    else {
      this.waitlistNumbers.set(`${registrationId}/${item.sectionId}`, section.waitlistNext);
      section.waitlistNext++;
      section.waitlisted++;
    }
    own.set(item.sectionId, placeOf(section, item, registrationId));
  }

  #drop(own: Map<string, Place>, { sectionId }: Item, registrationId: string): void {
    const section = this.#change(sectionId);
    const place = own.get(sectionId);
    if (!section || !place) return;
    if (place.outcome === Outcome.WAITLISTED) section.waitlisted--;
    else section.taken--;
    this.endedPlaces.set(`${registrationId}/${sectionId}`, place);
    own.delete(sectionId);
  }

  /** The section, copied before its first change, with a new version. */
  #change(sectionId: string): Section | undefined {
    const known = this.changed.get(sectionId);
    if (known) return known;
    const original = this.sections.get(sectionId);
    if (!original) return undefined;
    const copy = { ...original, version: original.version + 1n };
    this.changed.set(sectionId, copy);
    this.sections.set(sectionId, copy);
    return copy;
  }
}
