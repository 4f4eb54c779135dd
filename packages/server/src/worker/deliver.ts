/** Telling users the end of a video: claims a delivery, sends it, and keeps its retries as database time. */
import { sql, type Selectable, type UpdateObject } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import type { Notifier, SendResult } from '../notifications/notifier.ts';
import type { Handler, HandlerResult } from '../queue/queue.ts';
import type { VideosContext } from '../videos/context.ts';
import { readPayload, type LinkTo } from './delivery-payload.ts';
import { noteResult, readEndpoint, type Endpoint } from './endpoint-health.ts';

export type Delivery = Selectable<Tables['deliveries']>;

export interface DeliverDeps {
  readonly webhook: Notifier;
  /** Null where this process knows no Redis. */
  readonly redis: Notifier | null;
  readonly linkTo: LinkTo;
}

/** Longer than any one send takes; afterwards a delivery whose worker died is anybody's. */
const leaseMs = 30_000;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** How long after a failed try the next one comes, as Standard Webhooks advises; the first try is at once. */
const webhookRetryAfterMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour];
/** A channel is for those who listen now: news of half an hour ago would only mislead them. */
const redisRetryAfterMs = [second, 5 * second, 30 * second, 5 * minute];

/**
 * The handler of `notify`. At least once: a worker that dies between the receiver's answer and the commit sends again, with the same
 * `webhook-id`. After the last try, or when the receiver answers 410, the delivery has failed; an event that a webhook was to tell is
 * then a dead letter.
 */
export function createDeliver(context: VideosContext, deps: DeliverDeps): Handler {
  return async (message, signal) => {
    const delivery = await claim(context, message.id);
    if (!delivery) return { result: 'done' };
    const startedMs = performance.now();
    let sent: SendResult;
    try {
      sent = await send(context, deps, delivery, signal);
    } catch (error) {
      // The try is not counted, and the delivery is anybody's at once.
      const free = { tries: sql<number>`tries - 1`, lease_until: null };
      await update(context, delivery, signal.aborted ? { ...free, ...dueIn(0) } : free);
      if (!signal.aborted) throw error;
      return { result: 'retry', afterMs: 0, reason: 'the worker is shutting down' };
    }
    return record(context, delivery, sent, Math.round(performance.now() - startedMs));
  };
}

async function claim({ database }: VideosContext, id: string): Promise<Delivery | undefined> {
  return database.kysely
    .updateTable('deliveries')
    .set({
      lease_token: sql`lease_token + 1`,
      lease_until: databaseNowPlus(leaseMs),
      tries: sql`tries + 1`,
    })
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .where(sql<boolean>`due_at <= dailies_now()`)
    .where(sql<boolean>`(lease_until is null or lease_until <= dailies_now())`)
    .returningAll()
    .executeTakeFirst();
}

async function send(
  context: VideosContext,
  deps: DeliverDeps,
  delivery: Delivery,
  signal: AbortSignal,
): Promise<SendResult> {
  const { id, channel, endpoint_id: endpointId, url } = delivery;
  const refused = (reason: string): SendResult => ({ outcome: 'refused', status: null, reason });
  if (channel === 'redis') {
    if (!deps.redis) return { outcome: 'failed', status: null, reason: 'This worker has no REDIS_URL.' };
    return deps.redis.send({ id, url: null, payload: await readPayload(context, delivery, deps.linkTo) }, signal);
  }
  let endpoint: Endpoint | undefined;
  if (endpointId !== null) {
    endpoint = await readEndpoint(context, endpointId);
    if (!endpoint) return refused('The endpoint was disabled or removed before it could be told.');
  }
  const payload = await readPayload(context, delivery, deps.linkTo);
  return deps.webhook.send({ id, payload, ...(endpoint ?? { url }) }, signal);
}

async function record(
  context: VideosContext,
  delivery: Delivery,
  sent: SendResult,
  durationMs: number,
): Promise<HandlerResult> {
  const { status } = sent;
  const { channel, endpoint_id: endpointId } = delivery;
  const fields = { deliveryId: delivery.id, videoId: delivery.video_id, channel, tries: delivery.tries, status };
  const reason = sent.outcome === 'delivered' ? null : sent.reason.slice(0, 1_000);
  const waitMs = sent.outcome === 'failed' ? retriesOf(delivery)[delivery.tries - 1] : undefined;
  // Spread, so that a receiver which comes back does not get everything in the same instant.
  const afterMs = waitMs === undefined ? null : Math.round(waitMs * (0.9 + 0.2 * context.random()));
  const change = reason === null ? deliveredNow : afterMs === null ? failedNow : dueIn(afterMs);
  const kept = await keep(context, delivery, { ...change, last_status: status, last_error: reason }, durationMs);
  if (endpointId !== null) await noteResult(context, endpointId, sent, afterMs === null);
  if (reason === null) {
    context.log('info', 'A delivery arrived', fields);
    return { result: 'done' };
  }
  if (afterMs !== null) {
    context.log('info', 'A delivery will be tried again', { ...fields, reason, afterMs });
    return { result: 'retry', afterMs, reason };
  }
  if (!kept) return { result: 'done' };
  context.log('warn', 'A delivery was given up', { ...fields, reason });
  // Nobody has to look after a test, or after a channel on which nobody waits.
  return isEvent(delivery) && channel === 'webhook' ? { result: 'fail', reason } : { result: 'done' };
}

function isEvent(delivery: Delivery): boolean {
  return delivery.event_id !== null;
}

/** Whoever orders a test looks at its one answer. */
function retriesOf(delivery: Delivery): readonly number[] {
  if (!isEvent(delivery)) return [];
  return delivery.channel === 'redis' ? redisRetryAfterMs : webhookRetryAfterMs;
}

const ended = { due_at: null, lease_until: null };
const deliveredNow = { ...ended, state: 'delivered', delivered_at: databaseNow } as const;
const failedNow = { ...ended, state: 'failed' } as const;

/** The sweeper publishes a row again that is due and has not been published. */
function dueIn(afterMs: number) {
  return { due_at: databaseNowPlus(afterMs), lease_until: null, published_at: null, publishes: 0 };
}

/** The fence: pending, and not claimed by another worker since. */
function ours({ id, lease_token }: Delivery) {
  return { id, lease_token, state: 'pending' } as const;
}

/** Writes the try into the log, whoever has the delivery now, and what follows from it like `update`. */
async function keep(
  { database }: VideosContext,
  delivery: Delivery,
  set: UpdateObject<Tables, 'deliveries'> & { readonly last_status: number | null; readonly last_error: string | null },
  durationMs: number,
): Promise<boolean> {
  const result = await database.kysely
    .with('logged', (cte) =>
      cte.insertInto('delivery_tries').values({
        delivery_id: delivery.id,
        started_at: databaseNowPlus(-durationMs),
        duration_ms: durationMs,
        status: set.last_status,
        error: set.last_error,
      }),
    )
    .updateTable('deliveries')
    .set(set)
    .where((is) => is.and(ours(delivery)))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Under the lease of the claim; nothing is changed when another worker has it now. */
async function update(
  { database }: VideosContext,
  delivery: Delivery,
  set: UpdateObject<Tables, 'deliveries'>,
): Promise<void> {
  await database.kysely
    .updateTable('deliveries')
    .set(set)
    .where((is) => is.and(ours(delivery)))
    .execute();
}
