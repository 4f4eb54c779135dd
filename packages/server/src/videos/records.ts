/** Rows of a video and its file as the record that callers see. */
import type { Kysely, Selectable } from 'kysely';
import type { VideoRequest, Warning } from '../catalog/request.ts';
import type { Tables } from '../db/tables.ts';
import { NotFoundError } from '../kernel/errors.ts';
import { credits } from '../kernel/money.ts';
import { estimateStart } from '../scheduling/eta.ts';
import { parseFamilyId } from '../scheduling/families.ts';
import type { QueueEstimate, VideoFile, VideoRecord } from './videos.ts';
import { isFinal } from './video.ts';

export type VideoRow = Selectable<Tables['videos']>;
type FileRow = Selectable<Tables['files']>;

/** @throws NotFoundError also for a video of another workspace */
export async function getVideoRow(kysely: Kysely<Tables>, id: string, workspaceId: string): Promise<VideoRow> {
  const row = await kysely
    .selectFrom('videos')
    .selectAll()
    .where('id', '=', id)
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirst();
  if (!row) throw new NotFoundError('video', id);
  return row;
}

/** Adds the file and the queue estimate to rows; two queries for the files, one per video that still waits. */
export async function toRecords(kysely: Kysely<Tables>, rows: readonly VideoRow[]): Promise<VideoRecord[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const files = await kysely
    .selectFrom('files')
    .selectAll()
    .where('video_id', 'in', ids)
    .orderBy('created_at')
    .execute();
  // The file that is there counts; among several, the newest.
  files.sort((left, right) => Number(left.state === 'stored') - Number(right.state === 'stored'));
  const newest = new Map(files.map((file) => [file.video_id, file]));
  const records: VideoRecord[] = [];
  for (const row of rows) records.push(toRecord(row, newest.get(row.id), await queueOf(kysely, row)));
  return records;
}

/** A stored request is one that this code validated; its schema only ever gains fields. */
export function storedRequest(row: Pick<VideoRow, 'request'>): VideoRequest {
  return row.request as VideoRequest;
}

export function toRecord(row: VideoRow, file: FileRow | undefined, queue: QueueEstimate | null): VideoRecord {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    state: row.state,
    provider: row.provider,
    request: storedRequest(row),
    metadata: row.metadata,
    priority: row.priority,
    warnings: row.warnings as readonly Warning[], // written by this code only
    estimatedCredits: credits(row.estimated_credits),
    priceBasis: row.price_basis,
    chargedCredits: row.charged_credits === null ? null : credits(row.charged_credits),
    error: row.error,
    retryOf: row.retry_of,
    acceptedAt: row.accepted_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    deletedAt: row.deleted_at,
    startBefore: row.start_before,
    webhookUrl: row.webhook_url,
    eventSeq: row.event_seq,
    file: file ? toFile(file) : null,
    queue,
  };
}

function toFile(row: FileRow): VideoFile {
  return {
    id: row.id,
    state: row.state,
    storageKey: row.storage_key,
    bytes: row.bytes === null ? null : Number(row.bytes),
    seconds: row.seconds,
    width: row.width,
    height: row.height,
    sha256: row.sha256,
    etag: row.etag,
    posterKey: row.poster_key,
    delay: row.state === 'pending' ? row.last_error : null,
  };
}

async function queueOf(kysely: Kysely<Tables>, row: VideoRow): Promise<QueueEstimate | null> {
  if (isFinal(row.state)) return null;
  if (row.state === 'archiving') return { position: 0, startsAt: row.started_at, endsAt: null };
  if (row.state !== 'queued') {
    const startedMs = row.started_at?.getTime();
    return {
      position: 0,
      startsAt: row.started_at,
      endsAt: startedMs === undefined ? null : new Date(startedMs + row.expected_ms),
    };
  }
  const eta = await estimateStart(kysely, {
    family: parseFamilyId(row.family_id),
    workspaceId: row.workspace_id,
    videoId: row.id,
    priority: row.priority,
    acceptedAt: row.accepted_at,
    expectedMs: row.expected_ms,
  });
  return toQueueEstimate(eta);
}

/** Times from now on this process's wall clock: an estimate for people, never a deadline. */
export function toQueueEstimate(eta: Awaited<ReturnType<typeof estimateStart>>): QueueEstimate {
  const at = (ms: number | null) => (ms === null ? null : new Date(Date.now() + ms));
  return { position: eta.position, startsAt: at(eta.startsInMs), endsAt: at(eta.endsInMs) };
}
