/** Answers what `body` makes of each item, in the items' order, with at most `atOnceMax` at work. */
export async function inLanes<Item, Result>(
  items: readonly Item[],
  atOnceMax: number,
  body: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  const lane = async () => {
    for (const [index, item] of queue) results[index] = await body(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, items.length) }, lane));
  return results;
}
