/** The rows of webhook endpoints. */
import { randomBytes } from 'node:crypto';
import { sql, type Kysely, type Selectable, type UpdateObject } from 'kysely';
import type { Database } from '../db/database.ts';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';
import { AppError, InputError, NotFoundError } from '../kernel/errors.ts';
import { createId } from '../kernel/ids.ts';
import { Secret } from '../kernel/secret.ts';
import { judgeTarget } from '../notifications/webhook-target.ts';
import { toldEventTypes } from './deliveries.ts';
import type { EndpointWithSecret, WebhookEndpoint, Webhooks } from './webhooks.ts';

type EndpointRow = Selectable<Tables['webhook_endpoints']>;

const endpointsMax = 20;
/** How long the old secret signs beside a new one. */
const rotationMs = 24 * 60 * 60_000;

export type EndpointMethods = Pick<Webhooks, 'list' | 'get' | 'create' | 'update' | 'delete' | 'rotateSecret'>;

/** @param options `allowLoopback`: as for the sender, so that an address is refused here that would be refused there */
export function createEndpoints(database: Database, options: { readonly allowLoopback: boolean }): EndpointMethods {
  const { kysely } = database;

  function checkTarget(url: string): string {
    const target = judgeTarget(url, options.allowLoopback);
    if (target.kind === 'forbidden') throw new InputError([{ pointer: '/url', detail: target.reason }]);
    return target.url.href;
  }

  return {
    async list(workspaceId) {
      const rows = await live(kysely, workspaceId).orderBy('created_at').orderBy('id').execute();
      return rows.map(toEndpoint);
    },

    get: async (id, workspaceId) => toEndpoint(await getEndpointRow(kysely, id, workspaceId)),

    async create({ url, description, eventTypes }, workspaceId) {
      const href = checkTarget(url);
      return inTransaction(database, async ({ trx }) => {
        // Two creates at once count one after the other.
        await trx.selectFrom('workspaces').select('id').where('id', '=', workspaceId).forUpdate().execute();
        if ((await live(trx, workspaceId).execute()).length >= endpointsMax) {
          const detail = `A workspace may have ${endpointsMax} webhook endpoints; remove one that is not needed.`;
          throw new AppError('too_many_webhooks', detail, { data: { limit: endpointsMax } });
        }
        const secret = createSecret();
        const row = await trx
          .insertInto('webhook_endpoints')
          .values({
            id: createId('webhook'),
            workspace_id: workspaceId,
            url: href,
            description,
            event_types: [...eventTypes],
            secret,
            previous_secret: null,
            disabled_reason: null,
          })
          .returningAll()
          .executeTakeFirstOrThrow();
        return withSecret(row);
      });
    },

    async update(id, { url, description, eventTypes, disabled }, workspaceId) {
      const set: UpdateObject<Tables, 'webhook_endpoints'> = {
        ...(url === undefined ? {} : { url: checkTarget(url) }),
        ...(description === undefined ? {} : { description }),
        ...(eventTypes === undefined ? {} : { event_types: [...eventTypes] }),
        ...(disabled === undefined ? {} : disabled ? disabledByHand : enabled),
      };
      return toEndpoint(await change(kysely, id, workspaceId, set));
    },

    async delete(id, workspaceId) {
      await change(kysely, id, workspaceId, { deleted_at: databaseNow });
    },

    async rotateSecret(id, workspaceId) {
      const until = databaseNowPlus(rotationMs);
      const set = { secret: createSecret(), previous_secret: sql<string>`secret`, previous_secret_until: until };
      return withSecret(await change(kysely, id, workspaceId, set));
    },
  };
}

const disabledByHand = {
  disabled_at: sql<Date>`coalesce(disabled_at, dailies_now())`,
  disabled_reason: sql<string>`coalesce(disabled_reason, 'Disabled by hand.')`,
};
const enabled = { disabled_at: null, disabled_reason: null, failing_since: null };

/** @throws NotFoundError also for an endpoint of another workspace, and for a removed one */
export async function getEndpointRow(kysely: Kysely<Tables>, id: string, workspaceId: string): Promise<EndpointRow> {
  const row = await live(kysely, workspaceId).where('id', '=', id).executeTakeFirst();
  if (!row) throw new NotFoundError('webhook', id);
  return row;
}

function live(kysely: Kysely<Tables>, workspaceId: string) {
  return kysely
    .selectFrom('webhook_endpoints')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('deleted_at', 'is', null);
}

async function change(
  kysely: Kysely<Tables>,
  id: string,
  workspaceId: string,
  set: UpdateObject<Tables, 'webhook_endpoints'>,
): Promise<EndpointRow> {
  if (Object.keys(set).length === 0) return getEndpointRow(kysely, id, workspaceId);
  const row = await kysely
    .updateTable('webhook_endpoints')
    .set(set)
    .where('id', '=', id)
    .where('workspace_id', '=', workspaceId)
    .where('deleted_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new NotFoundError('webhook', id);
  return row;
}

/** 256 random bits in the form of Standard Webhooks. */
function createSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

function withSecret(row: EndpointRow): EndpointWithSecret {
  return { endpoint: toEndpoint(row), secret: new Secret(row.secret) };
}

function toEndpoint(row: EndpointRow): WebhookEndpoint {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    eventTypes: toldEventTypes.filter((type) => row.event_types.includes(type)),
    createdAt: row.created_at,
    failingSince: row.failing_since,
    disabled: row.disabled_at && { at: row.disabled_at, reason: row.disabled_reason ?? '' },
  };
}
