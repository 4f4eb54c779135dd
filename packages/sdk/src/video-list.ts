import type { Transport } from './transport.ts';
import type { Video, VideoPage, VideoStatus } from './types.ts';

export interface VideoFilter {
  /** One or several. */
  readonly status?: VideoStatus | readonly VideoStatus[];
  /** Canonical id or alias. */
  readonly model?: string;
  /** Every pair must match. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Videos per page, 1 to 100. */
  readonly limit?: number;
  /** Where an earlier page ended (`next_cursor`). */
  readonly cursor?: string;
}

/** Iterate it for every video, newest first, page after page; or take a single page. */
export interface VideoList extends AsyncIterable<Video> {
  page(): Promise<VideoPage>;
}

export function listVideos(transport: Transport, filter: VideoFilter, signal: AbortSignal | undefined): VideoList {
  const page = (cursor: string | undefined): Promise<VideoPage> =>
    transport.json<VideoPage>({
      method: 'GET',
      path: '/api/videos',
      query: toQuery({ ...filter, ...(cursor === undefined ? {} : { cursor }) }),
      signal,
      repeatable: true,
    });
  return {
    page: () => page(filter.cursor),
    async *[Symbol.asyncIterator]() {
      let cursor = filter.cursor;
      do {
        const { data, next_cursor: next } = await page(cursor);
        yield* data;
        cursor = next ?? undefined;
      } while (cursor !== undefined);
    },
  };
}

function toQuery(filter: VideoFilter): Record<string, string | number | undefined> {
  const metadata = Object.entries(filter.metadata ?? {}).map(([key, value]) => [`metadata[${key}]`, value] as const);
  return {
    status: filter.status === undefined ? undefined : [filter.status].flat().join(','),
    model: filter.model,
    limit: filter.limit,
    cursor: filter.cursor,
    ...Object.fromEntries(metadata),
  };
}
