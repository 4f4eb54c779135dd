/** Telling users the end of a video: claims a delivery, sends it, and keeps its retries as database time. */
import { sql, type Selectable, type UpdateObject } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import type { NotificationPayload, Notifier, SendResult } from '../notifications/notifier.ts';
import type { Handler, HandlerResult } from '../queue/queue.ts';
import type { VideosContext } from '../videos/context.ts';

type Delivery = Selectable<Tables['deliveries']>;

/** Longer than any one send takes; afterwards a delivery whose worker died is anybody's. */
const leaseMs = 30_000;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** How long after a failed try the next one comes, as Standard Webhooks advises; the first try is at once. */
const retryAfterMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour];

/**
 * The handler of `notify`. At least once: a worker that dies between the receiver's answer and the commit sends again, with the same
 * `webhook-id`. After the last try, or when the receiver answers 410, the delivery has failed and is a dead letter.
 */
export function createDeliver(context: VideosContext, notifier: Notifier): Handler {
  return async (message, signal) => {
    const delivery = await claim(context, message.id);
    if (!delivery) return { result: 'done' };
    const { event_id: eventId, id, url } = delivery;
    if (eventId === null || url === null) throw new Error('a delivery without an event or an address');
    const payload = await readPayload(context, eventId);
    let sent: SendResult;
    try {
      sent = await notifier.send({ id, url, payload }, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      await update(context, delivery, { tries: sql`tries - 1`, ...dueIn(0) });
      return { result: 'retry', afterMs: 0, reason: 'the worker is shutting down' };
    }
    return record(context, delivery, sent);
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

/** The event as it was written with the move: public facts only, and the same at every try. */
async function readPayload({ database }: VideosContext, eventId: string): Promise<NotificationPayload> {
  const event = await database.kysely
    .selectFrom('events')
    .select(['type', 'data', 'created_at'])
    .where('id', '=', eventId)
    .executeTakeFirstOrThrow();
  return { type: event.type, timestamp: event.created_at.toISOString(), data: event.data };
}

async function record(context: VideosContext, delivery: Delivery, sent: SendResult): Promise<HandlerResult> {
  const { status } = sent;
  const fields = { deliveryId: delivery.id, videoId: delivery.video_id, tries: delivery.tries, status };
  if (sent.outcome === 'delivered') {
    const deliveredAt = databaseNow;
    await end(context, delivery, {
      state: 'delivered',
      last_status: status,
      last_error: null,
      delivered_at: deliveredAt,
    });
    context.log('info', 'A webhook was delivered', fields);
    return { result: 'done' };
  }
  const { reason } = sent;
  const waitMs = sent.outcome === 'refused' ? undefined : retryAfterMs[delivery.tries - 1];
  const seen = { last_status: status, last_error: reason.slice(0, 1_000) };
  if (waitMs === undefined) {
    if (!(await end(context, delivery, { state: 'failed', ...seen }))) return { result: 'done' };
    context.log('warn', 'A webhook was given up', { ...fields, reason });
    return { result: 'fail', reason };
  }
  // Spread, so that a receiver which comes back does not get everything in the same instant.
  const afterMs = Math.round(waitMs * (0.9 + 0.2 * context.random()));
  await update(context, delivery, { ...seen, ...dueIn(afterMs) });
  context.log('info', 'A webhook will be tried again', { ...fields, reason, afterMs });
  return { result: 'retry', afterMs, reason };
}

/** The sweeper publishes a row again that is due and has not been published. */
function dueIn(afterMs: number) {
  const dueAt = databaseNowPlus(afterMs);
  return { due_at: dueAt, lease_until: null, published_at: null, publishes: 0 };
}

async function end(
  context: VideosContext,
  delivery: Delivery,
  set: UpdateObject<Tables, 'deliveries'>,
): Promise<boolean> {
  return update(context, delivery, { ...set, due_at: null, lease_until: null });
}

/** Under the lease of the claim; false, with nothing changed, when another worker has it now. */
async function update(
  { database }: VideosContext,
  delivery: Delivery,
  set: UpdateObject<Tables, 'deliveries'>,
): Promise<boolean> {
  const result = await database.kysely
    .updateTable('deliveries')
    .set(set)
    .where('id', '=', delivery.id)
    .where('lease_token', '=', delivery.lease_token)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
