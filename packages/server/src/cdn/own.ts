import type { Clock } from '../kernel/clock.ts';
import { expiryOf } from './bucket-path.ts';
import type { Cdn } from './cdn.ts';
import type { SignGet } from './open.ts';
import type { OwnLinks } from './own-links.ts';

export interface OwnCdnOptions {
  readonly links: OwnLinks;
  /** Read for the expiry; the content route must check with the same one. */
  readonly clock: Clock;
  /** Given where links lead straight to the store. */
  readonly signGet?: SignGet;
}

/**
 * Delivery without a CDN: by our own content route, which checks the signature, serves ranges and names the saved copy itself, or
 * straight from the store, which does the same with a link of its own. A store without links falls back to the route.
 */
export function createOwnCdn({ links, clock, signGet }: OwnCdnOptions): Cdn {
  return {
    async linkTo({ videoId, fileId, fileKey, fileName, expiresInSeconds }) {
      const stored = await signGet?.(fileKey, { expiresInSeconds, fileName });
      if (stored !== undefined) return stored;
      const expiresAtSeconds = expiryOf(clock.wallMs(), expiresInSeconds);
      return links.sign({ path: contentPath(videoId), fileId, expiresAtSeconds });
    },
  };
}

/** The content route of a video: the path that its links sign. */
export function contentPath(videoId: string): string {
  return `/api/videos/${encodeURIComponent(videoId)}/content`;
}
