/** The life of a workspace's webhook endpoint as its deliveries see it: its secrets, and when it is told no more. */
import { sql } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { Secret } from '../kernel/secret.ts';
import type { SendResult } from '../notifications/notifier.ts';
import type { VideosContext } from '../videos/context.ts';

/** An endpoint to which nothing could be delivered for that long is disabled when the next delivery is given up. */
const failingDaysMax = 5;
const gone = 410;

export interface Endpoint {
  readonly url: string;
  readonly secrets: readonly Secret[];
}

/** Undefined for an endpoint that was deleted or disabled since the delivery was ordered. */
export async function readEndpoint({ database }: VideosContext, id: string): Promise<Endpoint | undefined> {
  const row = await database.kysely
    .selectFrom('webhook_endpoints')
    .select(['url', 'secret'])
    .select(sql<string | null>`case when previous_secret_until > dailies_now() then previous_secret end`.as('previous'))
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  if (!row) return undefined;
  const texts = row.previous === null ? [row.secret] : [row.secret, row.previous];
  return { url: row.url, secrets: texts.map((text) => new Secret(text)) };
}

/** Keeps since when an endpoint fails, and disables the one that is gone or has failed for days. */
export async function noteResult(
  context: VideosContext,
  endpointId: string,
  sent: SendResult,
  isGivenUp: boolean,
): Promise<void> {
  const { kysely } = context.database;
  const endpoint = kysely.updateTable('webhook_endpoints').where('id', '=', endpointId);
  if (sent.outcome === 'delivered') {
    await endpoint.set({ failing_since: null }).where('failing_since', 'is not', null).execute();
    return;
  }
  await endpoint.set({ failing_since: databaseNow }).where('failing_since', 'is', null).execute();
  if (!isGivenUp) return;
  const isGone = sent.status === gone;
  const disabling = endpoint
    .set({
      disabled_at: databaseNow,
      disabled_reason: isGone
        ? 'The receiver answered 410: it wants no more webhooks.'
        : `Nothing could be delivered for ${failingDaysMax} days. The last failure: ${sent.reason}`.slice(0, 1_000),
    })
    .where('disabled_at', 'is', null);
  const tooLong = sql<boolean>`failing_since <= dailies_now() - ${failingDaysMax} * interval '1 day'`;
  const disabled = await (isGone ? disabling : disabling.where(tooLong)).returning('id').executeTakeFirst();
  if (disabled) context.log('warn', 'A webhook endpoint was disabled', { endpointId, reason: sent.reason });
}
