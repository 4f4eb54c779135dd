import type { Clock } from '../kernel/clock.ts';
import type { Cdn } from './cdn.ts';
import type { OwnLinks } from './own-links.ts';

/**
 * Delivery by our own content route, which checks the signature, serves ranges and names the saved copy itself.
 * @param deps `clock` is read for the expiry; the route must check with the same one
 */
export function createOwnCdn(deps: { readonly links: OwnLinks; readonly clock: Clock }): Cdn {
  return {
    linkTo({ videoId, fileId, expiresInSeconds }) {
      const expiresAtSeconds = Math.floor(deps.clock.wallMs() / 1000) + expiresInSeconds;
      return Promise.resolve(deps.links.sign({ path: contentPath(videoId), fileId, expiresAtSeconds }));
    },
  };
}

/** The content route of a video: the path that its links sign. */
export function contentPath(videoId: string): string {
  return `/api/videos/${encodeURIComponent(videoId)}/content`;
}
