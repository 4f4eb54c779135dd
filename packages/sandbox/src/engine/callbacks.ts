import { request as httpRequest, Agent as HttpAgent } from 'node:http';
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https';
import { pause } from '../clock.ts';
import { seededHex } from '../random.ts';
import type { Settings } from '../options.ts';
import type { FileUrls } from '../files/file-urls.ts';
import { callbackRecord } from '../wire/records.ts';
import { webhookHeaders } from '../wire/webhook-signature.ts';
import type { CallbackOutcome, SandboxEvent } from './events.ts';
import type { Task } from './task.ts';
import { hasFault, isFinal } from './task.ts';

export interface Callbacks {
  /** Sends the callback of the state that the task has just reached, unless a fault says otherwise. Never throws. */
  announce(task: Task): void;
  /** For `callback_early`: sends the final callback now; resolves when it was answered or given up. */
  announceEarly(task: Task): Promise<void>;
  /** Cuts deliveries short and waits for them to let go. */
  close(): Promise<void>;
  /** Forgets what is waiting; deliveries under way end by themselves. */
  reset(): void;
}

export interface CallbackParts {
  readonly settings: Settings;
  readonly urls: FileUrls;
  nowMs(): number;
  record(event: SandboxEvent): void;
}

interface Delivery {
  readonly url: string;
  readonly id: string;
  readonly body: string;
  readonly secrets: readonly string[];
}

/** The final callback of a task may not wait for the retries of an earlier one, but for its first try. */
export function createCallbacks({ settings, urls, nowMs, record }: CallbackParts): Callbacks {
  const aborter = new AbortController();
  const pending = new Set<Promise<void>>();
  /** The latest first try per task, so that a task's callbacks leave in order. */
  const tails = new Map<string, Promise<void>>();
  const held = new Map<string, Delivery[]>();
  const agents = {
    http: new HttpAgent({ keepAlive: true, maxSockets: 64 }),
    https: new HttpsAgent({ keepAlive: true, maxSockets: 64 }),
  };

  const count = (outcome: CallbackOutcome): void => record({ t: 'callback', outcome });

  async function attempt(delivery: Delivery): Promise<number | undefined> {
    const signal = AbortSignal.any([aborter.signal, AbortSignal.timeout(settings.callbackTimeoutMs)]);
    const timestampSeconds = Math.floor(nowMs() / 1000);
    const signature = webhookHeaders(delivery.secrets, { ...delivery, timestampSeconds });
    return post(delivery, signature, agents, signal).catch((error: unknown) => {
      settings.log({ event: 'callback_failed', error: String(error) });
      return undefined;
    });
  }

  /** Resolves after the first try; further tries go on behind it. */
  async function deliver(delivery: Delivery): Promise<void> {
    if (!(await tryOnce(delivery, settings.callbackRetryDelaysMs.length === 0))) track(retry(delivery));
  }

  async function retry(delivery: Delivery): Promise<void> {
    for (const [index, delayMs] of settings.callbackRetryDelaysMs.entries()) {
      await pause(delayMs, aborter.signal);
      if (await tryOnce(delivery, index === settings.callbackRetryDelaysMs.length - 1)) return;
    }
  }

  /** True when nothing more is to be done. */
  async function tryOnce(delivery: Delivery, isLast: boolean): Promise<boolean> {
    const status = await attempt(delivery);
    if (aborter.signal.aborted) return true;
    const isDelivered = status !== undefined && status >= 200 && status < 300;
    if (isDelivered) count('delivered');
    else if (isLast) count(status === undefined ? 'unreachable' : 'rejected');
    else count('retried');
    return isDelivered || isLast;
  }

  function track(work: Promise<void>): void {
    pending.add(work);
    void work.finally(() => pending.delete(work));
  }

  function enqueue(task: Task, deliveries: readonly Delivery[]): void {
    const { id } = task.plan;
    const run = async (): Promise<void> => {
      for (const delivery of deliveries) await deliver(delivery);
    };
    const tail = (tails.get(id) ?? Promise.resolve()).then(run);
    tails.set(id, tail);
    track(
      tail.then(() => {
        if (tails.get(id) === tail) tails.delete(id);
      }),
    );
  }

  function deliveryOf(task: Task, url: string, moment: string, own: Partial<Delivery> = {}): Delivery {
    const id = BigInt(`0x${seededHex(settings.seed, `webhook-${moment}`, task.plan.id).slice(0, 14)}`).toString();
    return { url, id, body: JSON.stringify(callbackRecord(task, urls)), secrets: settings.webhookSecrets, ...own };
  }

  function forged(task: Task, url: string): Delivery {
    const body = JSON.stringify(callbackRecord(asSucceeded(task, nowMs()), { ...urls, urlOf: () => foreignFile }));
    return deliveryOf(task, url, 'forged', { body, secrets: settings.webhookSecrets.map(() => foreignSecret) });
  }

  return {
    announce(task) {
      const { callbackUrl: url } = task.plan.order;
      if (!url || aborter.signal.aborted) return;
      if (hasFault(task, 'callback_lost')) return count('lost');
      const deliveries = [deliveryOf(task, url, task.status)];
      if (hasFault(task, 'callback_doubled')) {
        count('doubled');
        deliveries.push(...deliveries);
      }
      if (hasFault(task, 'callback_forged') && task.status === 'submitted') {
        count('forged');
        deliveries.push(forged(task, url));
      }
      if (!hasFault(task, 'callback_reordered')) return enqueue(task, deliveries);
      const waiting = [...deliveries, ...(held.get(task.plan.id) ?? [])];
      held.set(task.plan.id, waiting);
      if (!isFinal(task.status)) return;
      count('reordered');
      held.delete(task.plan.id);
      enqueue(task, waiting);
    },
    async announceEarly(task) {
      const { callbackUrl: url } = task.plan.order;
      if (!url) return;
      count('early');
      const ended = asEnded(task, nowMs());
      await tryOnce({ ...deliveryOf(task, url, 'early'), body: JSON.stringify(callbackRecord(ended, urls)) }, true);
    },
    async close() {
      aborter.abort();
      await Promise.allSettled(pending);
      agents.http.destroy();
      agents.https.destroy();
    },
    reset: () => held.clear(),
  };
}

const foreignFile = 'https://files.example.net/forged.mp4';
const foreignSecret = `whsec_${Buffer.from('somebody-else-signed-this').toString('base64')}`;

function asEnded(task: Task, nowMs: number): Task {
  return { ...task, status: task.plan.outcome, updatedAtMs: nowMs };
}

function asSucceeded(task: Task, nowMs: number): Task {
  return { ...task, status: 'succeeded', updatedAtMs: nowMs };
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
