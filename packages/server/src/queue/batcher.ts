/** Puts an item into the next batch; settles with that batch. */
export type Batcher<Item> = (item: Item) => Promise<void>;

/** Gathers what comes within `gatherMs`, up to `size` items, and acts on it once. */
export function createBatcher<Item>(
  { size, gatherMs }: { readonly size: number; readonly gatherMs: number },
  act: (items: readonly Item[]) => Promise<void>,
): Batcher<Item> {
  interface Batch {
    readonly items: Item[];
    readonly done: Promise<void>;
    send(): void;
  }
  let open: Batch | undefined;

  function begin(): Batch {
    const items: Item[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(send, gatherMs);
    const batch: Batch = { items, done: promise, send };
    function send(): void {
      clearTimeout(timer);
      if (open === batch) open = undefined;
      resolve(act(items));
    }
    return batch;
  }

  return (item) => {
    const batch = (open ??= begin());
    batch.items.push(item);
    if (batch.items.length >= size) batch.send();
    return batch.done;
  };
}
