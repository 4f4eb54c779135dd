import type { ApiRequest, Transport } from './transport.ts';

interface Page<Item> {
  readonly data: readonly Item[];
  /** Where the next page begins; null after the last. */
  readonly next_cursor: string | null;
}

export interface PagedRequest {
  readonly path: string;
  /** Its `cursor` is where the first page begins. */
  readonly query: NonNullable<ApiRequest['query']> & { readonly cursor: string | undefined };
  readonly signal: AbortSignal | undefined;
}

/** Every item of a list, page after page, or one page of it. Nothing is asked for before it is needed. */
export function listPages<Item, ItemPage extends Page<Item>>(
  transport: Transport,
  { path, query, signal }: PagedRequest,
): AsyncIterable<Item> & { page(): Promise<ItemPage> } {
  const page = (cursor: string | undefined): Promise<ItemPage> =>
    transport.json<ItemPage>({ method: 'GET', path, query: { ...query, cursor }, signal, repeatable: true });
  return {
    page: () => page(query.cursor),
    async *[Symbol.asyncIterator]() {
      let { cursor } = query;
      do {
        const { data, next_cursor: next } = await page(cursor);
        yield* data;
        cursor = next ?? undefined;
      } while (cursor !== undefined);
    },
  };
}
