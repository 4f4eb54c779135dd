/** Runs the work for every item, at most `parallelMax` at a time; results in the order of the items. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  parallelMax: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  async function lane(): Promise<void> {
    for (const [index, item] of waiting) results[index] = await work(item);
  }
  await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, lane));
  return results;
}
