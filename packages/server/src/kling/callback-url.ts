import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../kernel/secret.ts';

/** Callback addresses that nobody can guess: each proves that we gave it out for that attempt. */
export interface CallbackUrls {
  /** Null when no public address is configured: then Kling is only polled. */
  urlFor(attemptId: string): string | null;
  /** The attempt of a request path (query ignored, any prefix before `/callbacks/kling/`); undefined when it is not ours. */
  read(path: string): string | undefined;
}

/** @param deps.baseUrl where Kling reaches the callback receiver, e.g. `https://video.example.com`; may have a path */
export function createCallbackUrls(deps: { readonly baseUrl: string | null; readonly secret: Secret }): CallbackUrls {
  const base = deps.baseUrl?.replace(/\/+$/, '') ?? null;
  const proofOf = (attemptId: string): string =>
    createHmac('sha256', deps.secret.reveal()).update(`kling-callback:${attemptId}`).digest('base64url');
  return {
    urlFor: (attemptId) => base && `${base}/callbacks/kling/${attemptId}/${proofOf(attemptId)}`,
    read(path) {
      const match = /\/callbacks\/kling\/([\w-]{1,100})\/([\w-]{43})$/.exec(path.split('?', 1)[0] ?? '');
      const [, attemptId, proof] = match ?? [];
      if (attemptId === undefined || proof === undefined) return undefined;
      return timingSafeEqual(Buffer.from(proof), Buffer.from(proofOf(attemptId))) ? attemptId : undefined;
    },
  };
}
