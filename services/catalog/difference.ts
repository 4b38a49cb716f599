import { type DescMessage, equals, type MessageShape } from '@bufbuild/protobuf';

/** What a Put would do. */
export interface Difference<M> {
  created: M[];
  changed: M[];
  counts: { created: number; changed: number; unchanged: number };
}

/** Sorts what is wanted by whether it is new, differs from what is stored, or is the same. */
export function differenceOf<D extends DescMessage>(
  schema: D,
  wanted: readonly (MessageShape<D> & { id: string })[],
  stored: ReadonlyMap<string, { toMessage(): MessageShape<D> }>,
): Difference<MessageShape<D> & { id: string }> {
  const created = wanted.filter(({ id }) => !stored.has(id));
  const changed = wanted.filter((message) => {
    const known = stored.get(message.id);
    return known !== undefined && !equals(schema, known.toMessage(), message);
  });
  const unchanged = wanted.length - created.length - changed.length;
  return { created, changed, counts: { created: created.length, changed: changed.length, unchanged } };
}

export function byId<E extends { id: string }>(all: readonly E[]): Map<string, E> {
  return new Map(all.map((one) => [one.id, one]));
}

export function idsOf(all: readonly { id: string }[]): string[] {
  return all.map((one) => one.id);
}
