import { createDeadLettersResource, type DeadLettersResource } from './dead-letters.ts';
import { createTransport } from './transport.ts';
import type { Budget, Model, ModelList } from './types.ts';
import { createVideosResource, type CallOptions, type VideosResource } from './videos.ts';
import { createWebhooksResource, type WebhooksResource } from './webhooks.ts';

export interface DailiesOptions {
  /** Address of the server, for example `http://127.0.0.1:8000`; a path prefix is kept. */
  readonly url: string;
  /** Never give it to a browser that you do not trust with the whole workspace: hand out `video_url` links instead. */
  readonly apiKey?: string;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** For one try of one call, streams excepted. Default 30,000. */
  readonly timeoutMs?: number;
  /** Further tries after time-outs, broken connections, 408, 429 and 5xx, where repeating is safe. Default 3. */
  readonly maxRetries?: number;
  /** First wait between tries; it doubles, with jitter. A Retry-After header wins. Default 300. */
  readonly retryBaseMs?: number;
  /** An event stream that is silent for so long is opened again. Default 60,000. */
  readonly idleTimeoutMs?: number;
  /** Browsers ignore it. */
  readonly userAgent?: string;
}

export interface Dailies {
  readonly videos: VideosResource;
  readonly webhooks: WebhooksResource;
  readonly deadLetters: DeadLettersResource;
  readonly models: { list(options?: CallOptions): Promise<readonly Model[]> };
  readonly budget: {
    get(options?: CallOptions): Promise<Budget>;
    /** @param limitCredits null removes the limit */
    set(limitCredits: number | null, options?: CallOptions): Promise<Budget>;
  };
}

/**
 * A client of one Dailies server. It holds no connection of its own and needs no closing.
 * @throws TypeError when `url` is no http(s) address
 */
export function createDailies(options: DailiesOptions): Dailies {
  const settings = {
    url: options.url,
    apiKey: options.apiKey,
    fetch: options.fetch ?? globalThis.fetch.bind(globalThis), // browsers insist on their own receiver
    timeoutMs: options.timeoutMs ?? 30_000,
    maxRetries: options.maxRetries ?? 3,
    retryBaseMs: options.retryBaseMs ?? 300,
    idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
    userAgent: options.userAgent,
  };
  const transport = createTransport(settings);
  return {
    videos: createVideosResource(transport, settings),
    webhooks: createWebhooksResource(transport),
    deadLetters: createDeadLettersResource(transport),
    models: {
      list: async (call = {}) => {
        const answer = await transport.json<ModelList>({
          method: 'GET',
          path: '/api/models',
          signal: call.signal,
          repeatable: true,
        });
        return answer.data;
      },
    },
    budget: {
      get: async (call = {}) =>
        transport.json<Budget>({ method: 'GET', path: '/api/budget', signal: call.signal, repeatable: true }),
      set: async (limitCredits, call = {}) =>
        transport.json<Budget>({
          method: 'PUT',
          path: '/api/budget',
          body: { limit_credits: limitCredits },
          signal: call.signal,
          repeatable: true,
        }),
    },
  };
}
