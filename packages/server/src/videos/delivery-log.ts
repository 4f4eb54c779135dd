/** The log of deliveries, the test event, and sending again. */
import { sql, type Kysely, type Selectable } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction, type TransactionContext } from '../db/transaction.ts';
import { AppError, InputError, NotFoundError } from '../kernel/errors.ts';
import { createId } from '../kernel/ids.ts';
import type { VideosContext } from './context.ts';
import { getEndpointRow } from './endpoints.ts';
import { publishWith } from './publish.ts';
import { getVideoRow } from './records.ts';
import type { DeliveryFilter, DeliveryPage, DeliveryRecord, Webhooks } from './webhooks.ts';

type DeliveryRow = Selectable<Tables['deliveries']> & { readonly type: string | null };

export type DeliveryMethods = Pick<Webhooks, 'test' | 'listDeliveries' | 'getDelivery' | 'redeliver'>;

export function createDeliveryLog(context: VideosContext): DeliveryMethods {
  const { kysely } = context.database;
  const get = async (id: string, workspaceId: string): Promise<DeliveryRecord> => {
    const [record] = await withTries(kysely, [await getRow(kysely, id, workspaceId)]);
    if (!record) throw new NotFoundError('delivery', id);
    return record;
  };
  return {
    getDelivery: get,
    listDeliveries: (filter, workspaceId) => list(kysely, filter, workspaceId),

    async test(endpointId, workspaceId) {
      const id = createId('delivery');
      await inTransaction(context.database, async (transaction) => {
        const { trx } = transaction;
        const endpoint = await getEndpointRow(trx, endpointId, workspaceId);
        if (endpoint.disabled_at !== null) throw disabled(endpointId);
        await trx
          .insertInto('deliveries')
          .values({
            id,
            workspace_id: workspaceId,
            video_id: null,
            endpoint_id: endpointId,
            url: endpoint.url,
            payload: JSON.stringify({
              webhook_id: endpointId,
              message: 'A test of this webhook: nothing has happened.',
            }),
            state: 'pending',
            last_status: null,
            last_error: null,
            due_at: databaseNow,
            created_at: databaseNow,
            published_at: databaseNow,
            publishes: 1,
          })
          .execute();
        await publishWith(context, transaction, [{ kind: 'notify', id }]);
      });
      return get(id, workspaceId);
    },

    async redeliver(id, workspaceId) {
      await inTransaction(context.database, (transaction) => redeliverIn(context, transaction, id, workspaceId));
      return get(id, workspaceId);
    },
  };
}

/**
 * Sends an ended delivery again under its old id, with all its tries; a dead letter of it is over.
 * @throws NotFoundError
 * @throws AppError `delivery_conflict`, as `Webhooks.redeliver`
 */
export async function redeliverIn(
  context: VideosContext,
  transaction: TransactionContext,
  id: string,
  workspaceId: string,
): Promise<void> {
  const { trx } = transaction;
  const row = await getRow(trx, id, workspaceId);
  if (row.endpoint_id !== null) {
    const endpoint = await getEndpointRow(trx, row.endpoint_id, workspaceId);
    if (endpoint.disabled_at !== null) throw disabled(endpoint.id);
  }
  const again = await trx
    .updateTable('deliveries')
    .set({
      state: 'pending',
      tries: 0,
      due_at: databaseNow,
      lease_until: null,
      delivered_at: null,
      published_at: databaseNow,
      publishes: 1,
    })
    .where('id', '=', id)
    .where('state', '<>', 'pending')
    .returning('id')
    .executeTakeFirst();
  if (!again) {
    throw new AppError('delivery_conflict', `${id} is pending: it is being sent or waits for its next try.`);
  }
  await trx.deleteFrom('dead_letters').where('kind', '=', 'notify').where('id', '=', id).execute();
  await publishWith(context, transaction, [{ kind: 'notify', id }]);
}

function disabled(endpointId: string): AppError {
  const detail = `The webhook ${endpointId} is disabled; enable it first: PATCH /api/webhooks/${endpointId} with {"disabled": false}.`;
  return new AppError('delivery_conflict', detail);
}

function selectRows(kysely: Kysely<Tables>, workspaceId: string) {
  return kysely
    .selectFrom('deliveries')
    .leftJoin('events', 'events.id', 'deliveries.event_id')
    .selectAll('deliveries')
    .select('events.type')
    .where('deliveries.workspace_id', '=', workspaceId);
}

async function getRow(kysely: Kysely<Tables>, id: string, workspaceId: string): Promise<DeliveryRow> {
  const row = await selectRows(kysely, workspaceId).where('deliveries.id', '=', id).executeTakeFirst();
  if (!row) throw new NotFoundError('delivery', id);
  return row;
}

/** The cursor is the place after the last one shown, so that new deliveries never shift a page. */
async function list(kysely: Kysely<Tables>, filter: DeliveryFilter, workspaceId: string): Promise<DeliveryPage> {
  const { endpointId, videoId, state, limit, cursor } = filter;
  if (endpointId !== null) await getEndpointRow(kysely, endpointId, workspaceId);
  if (videoId !== null) await getVideoRow(kysely, videoId, workspaceId);
  let query = selectRows(kysely, workspaceId)
    .orderBy('deliveries.created_at', 'desc')
    .orderBy('deliveries.id', 'desc')
    .limit(limit + 1);
  if (endpointId !== null) query = query.where('deliveries.endpoint_id', '=', endpointId);
  if (videoId !== null) query = query.where('deliveries.video_id', '=', videoId);
  if (state !== null) query = query.where('deliveries.state', '=', state);
  if (cursor !== null) {
    const id = readCursor(cursor);
    // The row itself gives its place: a time that went through JavaScript has lost its microseconds.
    query = query.where(
      sql<boolean>`(deliveries.created_at, deliveries.id) < (select created_at, id from deliveries where id = ${id} and workspace_id = ${workspaceId})`,
    );
  }
  const rows = await query.execute();
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last ? Buffer.from(last.id).toString('base64url') : null;
  return { deliveries: await withTries(kysely, shown), nextCursor };
}

function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString();
  if (/^dlv_[0-9a-z]{26}$/.test(id)) return id;
  const detail = '`cursor` is not one that an answer gave out: leave it out to start from the newest delivery.';
  throw new InputError([{ pointer: '?cursor', detail }]);
}

async function withTries(kysely: Kysely<Tables>, rows: readonly DeliveryRow[]): Promise<DeliveryRecord[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const tries = await kysely
    .selectFrom('delivery_tries')
    .selectAll()
    .where('delivery_id', 'in', ids)
    .orderBy('id')
    .execute();
  const byDelivery = Map.groupBy(tries, (row) => row.delivery_id);
  return rows.map((row) => ({
    id: row.id,
    channel: row.channel,
    type: row.type ?? 'webhook.test',
    videoId: row.video_id,
    endpointId: row.endpoint_id,
    url: row.url,
    state: row.state,
    createdAt: row.created_at,
    nextTryAt: row.state === 'pending' ? row.due_at : null,
    deliveredAt: row.delivered_at,
    tries: (byDelivery.get(row.id) ?? []).map(({ started_at: startedAt, duration_ms: durationMs, status, error }) => ({
      startedAt,
      durationMs,
      status,
      error,
    })),
  }));
}
