/** Who is told of an event: one delivery per target, written in the statement that writes the event. */
import { sql, type RawBuilder } from 'kysely';
import { createId } from '../kernel/ids.ts';
import type { VideosContext } from './context.ts';

/** What decides the targets beside the database. */
export type Telling = Pick<VideosContext, 'options' | 'observer'>;

/** What is told outside of the event log, and what an endpoint may ask for. */
export const toldEventTypes = ['video.completed', 'video.failed', 'video.canceled', 'video.file_stored'] as const;

/** Those of the reference; a listener there takes every message for the end of a job. */
const redisEventTypes: readonly string[] = ['video.completed', 'video.failed', 'video.canceled'];

/** Digits at the end of an id that number the targets of one event. */
const numberDigits = 2;

export function isTold(type: string): boolean {
  return (toldEventTypes as readonly string[]).includes(type); // widened to ask for any type
}

/**
 * A statement for a `with` beside `changed` (id, workspace_id, webhook_url) and `event` (id): a delivery for the address of the
 * video, one for each live endpoint of its workspace that wants the type, and one for Redis. The ids share one beginning, because
 * how many there are is known only there.
 */
export function orderDeliveries({ options }: Telling, type: string): RawBuilder<object> {
  const stem = createId('delivery').slice(0, -numberDigits);
  const toRedis = options.redisEvents && redisEventTypes.includes(type);
  return sql<object>`(
    insert into deliveries (id, video_id, workspace_id, event_id, channel, endpoint_id, url, state, due_at, created_at)
    select ${stem}::text || lpad((row_number() over ())::text, ${numberDigits}::int, '0'), changed.id, changed.workspace_id,
      event.id, target.channel, target.endpoint_id, target.url, 'pending', dailies_now(), dailies_now()
    from changed cross join event cross join lateral (
      select 'webhook' as channel, null::text as endpoint_id, changed.webhook_url as url
      where changed.webhook_url is not null
      union all
      select 'webhook', endpoint.id, endpoint.url from webhook_endpoints endpoint
      where endpoint.workspace_id = changed.workspace_id and endpoint.deleted_at is null
        and endpoint.disabled_at is null and ${type}::text = any(endpoint.event_types)
      union all
      select 'redis', null, null where ${toRedis}::boolean
    ) target)`;
}
