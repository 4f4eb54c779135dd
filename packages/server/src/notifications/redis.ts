/** Notifications as messages of a Redis channel, with the failed ones in a list beside it, in the form of the reference architecture. */
import { z } from 'zod';
import { asError } from '../kernel/errors.ts';
import type { RedisConfig } from '../redis/config.ts';
import { openRedis, type RedisConnection } from '../redis/connect.ts';
import type { NotificationPayload, Notifier, OutgoingNotification } from './notifier.ts';

export interface RedisNotifier extends Notifier {
  close(): Promise<void>;
}

/** One message of the channel `<prefix>:events`; those that failed are in the list `<prefix>:jobs:failed`, too, newest first. */
interface RedisEvent {
  /** The same for every try: who listens may get a message twice. */
  readonly id: string;
  /** `completed`, `failed`, `canceled`; or what else a video can be told of. */
  readonly type: string;
  readonly job_id: string | null;
  /** A link of ours; null when there is no file. */
  readonly video_url: string | null;
  readonly error_code?: string;
  readonly message?: string;
  /** When it happened, RFC 3339. */
  readonly timestamp: string;
}

/** How many failed videos the list keeps. */
const failedKept = 1_000;

const dataSchema = z.object({
  job_id: z.string().nullable().default(null),
  video_url: z.string().nullable().default(null),
  error: z.object({ code: z.string(), message: z.string() }).nullish(),
});

/**
 * Publishes to a server or a cluster. It connects with the first notification, so that a Redis that is away holds up nothing but
 * these: they have failed within some 5 s, and another try may work. A channel keeps nothing: who is not subscribed misses it.
 */
export async function openRedisNotifier(config: RedisConfig): Promise<RedisNotifier> {
  let opening: Promise<RedisConnection> | undefined;

  async function connect(): Promise<RedisConnection> {
    // Every send that needs the connection says why it failed; nobody else has to hear of it.
    opening ??= openRedis(config, { onError: () => {} });
    try {
      return await opening;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }

  async function tell({ id, payload }: Pick<OutgoingNotification, 'id' | 'payload'>): Promise<void> {
    const event = toRedisEvent(id, payload);
    const { client, patiently } = await connect();
    const text = JSON.stringify(event);
    if (event.type === 'failed') {
      await patiently(() => listFailed(client, `${config.prefix}:jobs:failed`, text));
    }
    await patiently(() => client.publish(`${config.prefix}:events`, text));
  }

  return {
    async send(notification, signal) {
      signal.throwIfAborted();
      try {
        await untilAborted(tell(notification), signal);
        return { outcome: 'delivered', status: null };
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        return { outcome: 'failed', status: null, reason: asError(error).message };
      }
    },
    async close() {
      const connection = await opening?.catch(() => undefined);
      connection?.close();
    },
  };
}

/** Removed first, so that another try does not list it twice. */
async function listFailed(client: RedisConnection['client'], key: string, text: string): Promise<void> {
  const list = client
    .multi()
    .lrem(key, 0, text)
    .lpush(key, text)
    .ltrim(key, 0, failedKept - 1);
  for (const [error] of (await list.exec()) ?? []) if (error) throw error;
}

function toRedisEvent(id: string, { type, timestamp, data }: NotificationPayload): RedisEvent {
  const { job_id, video_url, error } = dataSchema.parse(data);
  return {
    id,
    type: type.replace(/^video\./, ''),
    job_id,
    video_url,
    ...(error && { error_code: error.code, message: error.message }),
    timestamp,
  };
}

async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  await Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}
