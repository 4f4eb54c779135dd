import { listPages, type PagedRequest } from './pages.ts';
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
  return listPages<Video, VideoPage>(transport, { path: '/api/videos', query: toQuery(filter), signal });
}

function toQuery(filter: VideoFilter): PagedRequest['query'] {
  const metadata = Object.entries(filter.metadata ?? {}).map(([key, value]) => [`metadata[${key}]`, value] as const);
  return {
    status: filter.status === undefined ? undefined : [filter.status].flat().join(','),
    model: filter.model,
    limit: filter.limit,
    ...Object.fromEntries(metadata),
    cursor: filter.cursor,
  };
}
