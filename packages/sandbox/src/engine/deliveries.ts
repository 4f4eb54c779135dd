import { request as httpRequest, Agent as HttpAgent } from 'node:http';
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https';
import { pause } from '../clock.ts';
import type { Settings } from '../options.ts';
import { webhookHeaders } from '../wire/webhook-signature.ts';
import type { CallbackOutcome } from './events.ts';

/** One callback on its way. */
export interface Delivery {
  readonly url: string;
  /** Stays the same over all tries. */
  readonly id: string;
  readonly body: string;
  readonly secrets: readonly string[];
}

export interface Deliveries {
  /** Tries until it was answered 2xx or the tries are used up; resolves after the first one, the others go on behind it. */
  deliver(delivery: Delivery): Promise<void>;
  /** One try only. */
  deliverOnce(delivery: Delivery): Promise<void>;
  /** Runs work that `close` waits for. */
  track(work: Promise<void>): void;
  readonly isClosed: boolean;
  /** Cuts everything short and waits for it to let go. */
  close(): Promise<void>;
}

interface DeliveryParts {
  readonly settings: Settings;
  nowMs(): number;
  count(outcome: CallbackOutcome): void;
}

/** Sends callbacks over kept-alive connections, a bounded number at a time. */
export function createDeliveries({ settings, nowMs, count }: DeliveryParts): Deliveries {
  const { callbackRetryDelaysMs: retryDelaysMs, callbackTimeoutMs, log } = settings;
  const aborter = new AbortController();
  const pending = new Set<Promise<void>>();
  const agents = {
    http: new HttpAgent({ keepAlive: true, maxSockets: 64 }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: 64 }),
  };

  /** Returns true when nothing more is to be done. */
  async function tryOnce(delivery: Delivery, isLast: boolean): Promise<boolean> {
    const signal = AbortSignal.any([aborter.signal, AbortSignal.timeout(callbackTimeoutMs)]);
    const timestampSeconds = Math.floor(nowMs() / 1000);
    const signature = webhookHeaders(delivery.secrets, { ...delivery, timestampSeconds });
    const status = await post(delivery, signature, agents, signal).catch((error: unknown) => {
      log({ event: 'callback_failed', error: String(error) });
      return undefined;
    });
    if (aborter.signal.aborted) return true;
    const isDelivered = status !== undefined && status >= 200 && status < 300;
    if (isDelivered) count('delivered');
    else if (isLast) count(status === undefined ? 'unreachable' : 'rejected');
    else count('retried');
    return isDelivered || isLast;
  }

  async function retry(delivery: Delivery): Promise<void> {
    for (const [index, delayMs] of retryDelaysMs.entries()) {
      await pause(delayMs, aborter.signal);
      if (aborter.signal.aborted || (await tryOnce(delivery, index === retryDelaysMs.length - 1))) return;
    }
  }

  function track(work: Promise<void>): void {
    pending.add(work);
    void work.finally(() => pending.delete(work));
  }

  return {
    track,
    async deliver(delivery) {
      if (!(await tryOnce(delivery, retryDelaysMs.length === 0))) track(retry(delivery));
    },
    async deliverOnce(delivery) {
      await tryOnce(delivery, true);
    },
    get isClosed() {
      return aborter.signal.aborted;
    },
    async close() {
      aborter.abort();
      await Promise.allSettled(pending);
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** One POST with the headers that Kling's callbacks were seen to carry; resolves with the status of the answer. */
function post(
  { url, body }: Delivery,
  signature: Record<string, string>,
  agents: { http: HttpAgent; https: HttpsAgent },
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const isTls = target.protocol === 'https:';
    const options = {
      method: 'POST',
      agent: isTls ? agents.https : agents.http,
      signal,
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
        Connection: 'Keep-Alive',
        'User-Agent': 'Apache-HttpClient/4.5.13 (Java/11.0.14-internal)',
        'Accept-Encoding': 'gzip,deflate',
        ...signature,
      },
    };
    const outgoing = (isTls ? httpsRequest : httpRequest)(target, options, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
