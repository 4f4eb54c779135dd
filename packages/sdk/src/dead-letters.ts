import { listPages } from './pages.ts';
import { path } from './path.ts';
import type { Transport } from './transport.ts';
import type { DeadLetter, DeadLetterKind, DeadLetterPage } from './types.ts';
import type { CallOptions } from './videos.ts';

export interface DeadLetterFilter {
  /** Dead letters per page, 1 to 100. */
  readonly limit?: number;
  /** Where an earlier page ended (`next_cursor`). */
  readonly cursor?: string;
}

/** Iterate it for every dead letter, newest first, page after page; or take a single page. */
export interface DeadLetterList extends AsyncIterable<DeadLetter> {
  page(): Promise<DeadLetterPage>;
}

/** Every member rejects with a DailiesError, or with the reason of an aborted `signal`. */
export interface DeadLettersResource {
  list(filter?: DeadLetterFilter, options?: CallOptions): DeadLetterList;
  /** Does its work again at once; nothing is bought twice. Rejects with `dead_letter_conflict` where that cannot help. @returns it as it was */
  replay(kind: DeadLetterKind, id: string, options?: CallOptions): Promise<DeadLetter>;
  /** Removes one that needs nothing more; its work stays as it is. */
  dismiss(kind: DeadLetterKind, id: string, options?: CallOptions): Promise<void>;
}

export function createDeadLettersResource(transport: Transport): DeadLettersResource {
  return {
    list: ({ limit, cursor } = {}, { signal } = {}) =>
      listPages<DeadLetter, DeadLetterPage>(transport, { path: '/api/dead-letters', query: { limit, cursor }, signal }),
    // A repetition would be answered "not found" and hide that the first one worked.
    replay: async (kind, id, { signal } = {}) =>
      transport.json<DeadLetter>({
        method: 'POST',
        path: path`/api/dead-letters/${kind}/${id}/replay`,
        signal,
        repeatable: false,
      }),
    dismiss: async (kind, id, { signal } = {}) =>
      transport.json<void>({
        method: 'DELETE',
        path: path`/api/dead-letters/${kind}/${id}`,
        signal,
        repeatable: false,
      }),
  };
}
