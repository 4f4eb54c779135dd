/** The event log of videos: one row per thing that happened, in the transaction in which it happened. */
import {
  sql,
  type InsertObject,
  type Kysely,
  type RawBuilder,
  type Selectable,
  type Transaction,
  type UpdateObject,
} from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables, VideoState } from '../db/tables.ts';
import { pause } from '../kernel/clock.ts';
import { InputError } from '../kernel/errors.ts';
import { isTold, orderDeliveries, type Telling } from './deliveries.ts';
import { isFinal, videoStates } from './video.ts';
import type { VideoEvent } from './videos.ts';

const pageSize = 100;

const stateEventTypes = videoStates.map((state) => `video.${state}`);

const eventColumns = ['workspace_id', 'video_id', 'seq', 'type', 'data', 'created_at'] as const;

/** The last three of the columns; the first three come from the video's row. */
function eventValues(type: string, data: Readonly<Record<string, unknown>>) {
  return [
    sql<string>`${type}::text`.as('type'),
    sql<string>`${JSON.stringify(data)}::jsonb`.as('data'),
    databaseNow.as('created_at'),
  ] as const;
}

/** Stores a new video and its first event, in one statement. */
export async function insertWithEvent(
  trx: Transaction<Tables>,
  video: InsertObject<Tables, 'videos'>,
  data: Readonly<Record<string, unknown>>,
): Promise<Selectable<Tables['videos']>> {
  return trx
    .with('video', (cte) => cte.insertInto('videos').values(video).returningAll())
    .with('event', (cte) =>
      cte
        .insertInto('events')
        .columns(eventColumns)
        .expression((query) =>
          query
            .selectFrom('video')
            .select(['workspace_id', 'id', 'event_seq'])
            .select(eventValues('video.queued', data)),
        ),
    )
    .selectFrom('video')
    .selectAll()
    .executeTakeFirstOrThrow();
}

export interface VideoChange {
  readonly videoId: string;
  readonly type: string;
  /** Public facts: no provider URL, no secret. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly set?: UpdateObject<Tables, 'videos'>;
  /** The state that it moves to. */
  readonly to?: VideoState;
  /** Nothing is done unless the video is in one of these states and at this attempt. */
  readonly fence?: { readonly states: readonly VideoState[]; readonly attemptNumber: number };
}

/** The state that a change ended, read from the event that began it. */
interface LeftState {
  readonly type: string | null;
  readonly seconds: number | null;
}

/** Changes a video's row and writes what happened, in one statement. Undefined, with nothing done, when the fence does not hold. */
async function changeVideo(
  trx: Transaction<Tables>,
  change: VideoChange,
  told: RawBuilder<object> | null,
): Promise<LeftState | undefined> {
  const { fence } = change;
  const changing = trx
    .with('changed', (cte) => {
      const update = cte
        .updateTable('videos')
        .set({ ...change.set, event_seq: sql`event_seq + 1` })
        .where('id', '=', change.videoId);
      const fenced = fence
        ? update.where('state', 'in', fence.states).where('attempt_number', '=', fence.attemptNumber)
        : update;
      return fenced.returning(['id', 'workspace_id', 'webhook_url', 'event_seq']);
    })
    .with('event', (cte) =>
      cte
        .insertInto('events')
        .columns(eventColumns)
        .expression((query) =>
          query
            .selectFrom('changed')
            .select(['workspace_id', 'id', 'event_seq'])
            .select(eventValues(change.type, change.data)),
        )
        .returning('id'),
    );
  const telling = told === null ? changing : changing.with('told', () => told);
  // The event of this statement is not visible to it; what charges or stores a file in between is no state.
  return telling
    .selectFrom('changed')
    .leftJoinLateral(
      (query) =>
        query
          .selectFrom('events')
          .select([
            'events.type',
            sql<number>`extract(epoch from dailies_now() - events.created_at)::float8`.as('seconds'),
          ])
          .whereRef('events.video_id', '=', 'changed.id')
          .where('events.type', 'in', stateEventTypes)
          .orderBy('events.seq', 'desc')
          .limit(1)
          .as('began'),
      (join) => join.onTrue(),
    )
    .select(['began.type', 'began.seconds'])
    .executeTakeFirst();
}

/**
 * Writes something that users may hear of outside of the event log, and orders its deliveries with it.
 * @returns false, with nothing done, when the fence does not hold
 */
export async function tellEvent(context: Telling, trx: Transaction<Tables>, change: VideoChange): Promise<boolean> {
  const left = await changeVideo(trx, change, isTold(change.type) ? orderDeliveries(context, change.type) : null);
  if (!left) return false;
  const { to } = change;
  const from = left.type?.slice('video.'.length) ?? null;
  if (to !== undefined) context.observer?.moved({ from, to, seconds: left.seconds ?? 0, isFinal: isFinal(to) });
  return true;
}

/** Records something that happened to a video without moving it, for the event log alone. */
export async function recordEvent(
  trx: Transaction<Tables>,
  videoId: string,
  type: string,
  data: Readonly<Record<string, unknown>>,
  set: UpdateObject<Tables, 'videos'> = {},
): Promise<void> {
  await changeVideo(trx, { videoId, type, data, set }, null);
}

export async function listVideoEvents(
  kysely: Kysely<Tables>,
  videoId: string,
  afterSeq: number,
): Promise<VideoEvent[]> {
  const rows = await eventsQuery(kysely)
    .where('video_id', '=', videoId)
    .where('seq', '>', afterSeq)
    .orderBy('seq')
    .execute();
  return rows.map(toEvent);
}

/**
 * A workspace's events after a cursor. Rows are read in the order (transaction id, id) and only of transactions older than
 * every running one: a row that commits late can then never lie before a cursor that was already given out.
 * @param cursor null starts after everything that is settled now
 * @throws InputError for a cursor that was not given out: to start anywhere else would lose events silently
 */
export async function listWorkspaceEvents(
  kysely: Kysely<Tables>,
  workspaceId: string,
  cursor: string | null,
): Promise<{ events: VideoEvent[]; cursor: string }> {
  const place = cursor === null ? undefined : /^(\d{1,18})-(\d{1,18}|9223372036854775807)$/.exec(cursor);
  if (place === null) {
    const detail = 'The header Last-Event-ID must be the `id` of an event of this stream; leave it out to begin now.';
    throw new InputError([{ pointer: 'header:Last-Event-ID', detail }]);
  }
  if (!place) {
    const { rows } = await sql<{ horizon: string }>`select dailies_event_horizon()::text as horizon`.execute(kysely);
    // Nothing below it can appear any more, so the next event's transaction is at or above it.
    return { events: [], cursor: `${BigInt(rows[0]?.horizon ?? '1') - 1n}-9223372036854775807` };
  }
  const rows = await eventsQuery(kysely)
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`(xid, id) > (${place[1] ?? '0'}::xid8, ${place[2] ?? '0'}::bigint)`)
    .where(sql<boolean>`xid < (select dailies_event_horizon())`)
    // The column; the bare name would be that of the text, in which 1000 comes before 999.
    .orderBy('events.xid')
    .orderBy('events.id')
    .execute();
  const events = rows.map(toEvent);
  return { events, cursor: events.at(-1)?.cursor ?? `${place[1]}-${place[2]}` };
}

function eventsQuery(kysely: Kysely<Tables>) {
  return kysely
    .selectFrom('events')
    .select(['id', 'video_id', 'seq', 'type', 'data', 'created_at'])
    .select(sql<string>`xid::text`.as('xid'))
    .limit(pageSize);
}

function toEvent(row: {
  id: string;
  xid: string;
  video_id: string;
  seq: number;
  type: string;
  data: Record<string, unknown>;
  created_at: Date;
}): VideoEvent {
  return {
    seq: row.seq,
    videoId: row.video_id,
    type: row.type,
    data: row.data,
    at: row.created_at,
    cursor: `${row.xid}-${row.id}`,
  };
}

/** Wakes readers of this process at once; readers elsewhere look again by themselves. */
export interface Signal {
  notify(): void;
  wait(maxWaitMs: number, signal: AbortSignal): Promise<void>;
}

export function createSignal(): Signal {
  let wake = new AbortController();
  return {
    notify() {
      wake.abort();
      wake = new AbortController();
    },
    wait: (maxWaitMs, signal) => pause(maxWaitMs, AbortSignal.any([signal, wake.signal])),
  };
}
