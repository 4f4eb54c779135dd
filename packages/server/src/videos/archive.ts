/**
 * Copying a paid file into our own storage (docs/guarantees.md). `completed` means that the stored bytes were verified. Retried for
 * as long as Kling keeps the file, and never given up before.
 */
import { sql, type Selectable } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';
import { asError } from '../kernel/errors.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { KlingApi } from '../kling/kling-api.ts';
import type { HandlerResult } from '../queue/queue.ts';
import type { CopiedVideo } from '../storage/copy-video.ts';
import type { AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { lockVideo, videoError } from './end-attempt.ts';
import { recordEvent, tellEvent } from './events.ts';
import { moveVideo } from './move.ts';
import { referenceTo } from './submit.ts';

export type FileRow = Selectable<Tables['files']>;

export interface ArchiveDeps {
  readonly kling: KlingApi;
  /** Copies the file at a provider URL to a key. @throws whatever goes wrong; `isGone` tells a file that Kling no longer gives out */
  readonly copy: (url: string, key: string, signal: AbortSignal) => Promise<CopiedVideo>;
  readonly isGone: (error: unknown) => boolean;
  /**
   * Orders a poster beside a stored video, where one can be made; nobody waits for it and it never throws.
   * @param keep records the poster; false when the video is gone, and then the poster goes as well
   */
  readonly orderPoster: (key: string, keep: (posterKey: string) => Promise<boolean>) => void;
}

/** Kling clears files 30 days after they were made. A link may end before that: then the task is asked for a fresh one. */
const keptForMs = 30 * 24 * 60 * 60_000;
const withFreshLink = 'The link had ended; Kling gave a fresh one.';

export async function archive(
  context: VideosContext,
  deps: ArchiveDeps,
  fileId: string,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const file = await claimFile(context, fileId);
  if (!file) return { result: 'done' };
  const lease = holdLease(context, file, signal);
  try {
    if (file.source_url === null) return await askAgain(context, deps, file, signal);
    const stored = await deps.copy(file.source_url, file.storage_key, lease.signal);
    await recordStored(context, file, stored);
    context.log('info', 'A paid file was stored', {
      fileId,
      videoId: file.video_id,
      bytes: stored.bytes,
      tries: file.tries,
    });
    deps.orderPoster(file.storage_key, (posterKey) => recordPoster(context, file, posterKey));
    return { result: 'done' };
  } catch (error) {
    if (signal.aborted) return await retryFile(context, file, 0, 'the worker is shutting down');
    const fresh = deps.isGone(error) ? await freshLink(context, deps, file, signal) : undefined;
    // Links that are fresh each time and never work are no reason to ask without end.
    if (fresh && file.last_error !== withFreshLink) return await retryFile(context, file, 0, withFreshLink, fresh);
    return await failOrRetry(context, file, asError(error));
  } finally {
    await lease.stop();
  }
}

async function claimFile(context: VideosContext, fileId: string): Promise<FileRow | undefined> {
  return context.database.kysely
    .updateTable('files')
    .set({ lease_token: sql`lease_token + 1`, lease_until: leaseEnd(context), tries: sql`tries + 1` })
    .where('id', '=', fileId)
    .where('state', '=', 'pending')
    .where(sql<boolean>`(lease_until is null or lease_until <= dailies_now())`)
    .where(sql<boolean>`(due_at is null or due_at <= dailies_now())`)
    .returningAll()
    .executeTakeFirst();
}

function leaseEnd(context: VideosContext) {
  return databaseNowPlus(context.options.leaseMs);
}

/** Renews the lease while a long copy runs, and aborts the copy when the lease is lost. */
function holdLease(context: VideosContext, file: FileRow, outer: AbortSignal) {
  const lost = new AbortController();
  let renewing: Promise<void> = Promise.resolve();
  async function renew(): Promise<void> {
    const result = await context.database.kysely
      .updateTable('files')
      .set({ lease_until: leaseEnd(context) })
      .where('id', '=', file.id)
      .where('lease_token', '=', file.lease_token)
      .where('state', '=', 'pending')
      .executeTakeFirst();
    if (result.numUpdatedRows === 0n) lost.abort(new Error('another worker has taken this file over'));
  }
  const timer = setInterval(() => {
    // A renewal that fails is tried again by the next tick; the lease itself is the guard.
    renewing = renew().catch((error: unknown) =>
      context.log('warn', 'Could not renew a lease', { fileId: file.id, error }),
    );
  }, context.options.leaseMs / 3);
  return {
    signal: AbortSignal.any([outer, lost.signal]),
    async stop() {
      clearInterval(timer);
      await renewing;
    },
  };
}

async function recordPoster(context: VideosContext, file: FileRow, posterKey: string): Promise<boolean> {
  const result = await context.database.kysely
    .updateTable('files')
    .set({ poster_key: posterKey })
    .where('id', '=', file.id)
    .where('state', '=', 'stored')
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

async function recordStored(context: VideosContext, file: FileRow, stored: CopiedVideo): Promise<void> {
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, file.video_id);
    const row = await trx
      .updateTable('files')
      .set({
        state: 'stored',
        bytes: stored.bytes,
        seconds: stored.seconds,
        width: stored.width,
        height: stored.height,
        has_audio: stored.hasAudio,
        sha256: stored.sha256,
        etag: stored.etag,
        stored_at: databaseNow,
        source_url: null,
        lease_until: null,
        due_at: null,
        last_error: null,
      })
      .where('id', '=', file.id)
      .where('lease_token', '=', file.lease_token)
      .where('state', '=', 'pending')
      .returning('id')
      .executeTakeFirst();
    if (!row) return;
    const facts = { bytes: stored.bytes, seconds: stored.seconds, sha256: stored.sha256 };
    const attemptNumber = video.attempt_number;
    const moved = await moveVideo(context, trx, {
      videoId: video.id,
      to: 'completed',
      attemptNumber,
      data: { file: facts },
    });
    if (!moved)
      await tellEvent(context, trx, {
        videoId: video.id,
        type: 'video.file_stored',
        data: { job_id: video.id, status: video.state, file: facts },
      });
    afterCommit(() => context.events.notify());
  });
}

interface FreshLink {
  readonly source_url: string;
  readonly source_expires_at: Date | null;
}

/** The same task asked again carries a new link, as long as Kling keeps the file. Undefined when nothing new was learned. */
async function freshLink(
  context: VideosContext,
  deps: ArchiveDeps,
  file: FileRow,
  signal: AbortSignal,
): Promise<FreshLink | undefined> {
  const attempt: AttemptRow = await context.database.kysely
    .selectFrom('attempts')
    .selectAll()
    .where('id', '=', file.attempt_id)
    .executeTakeFirstOrThrow();
  const options = { signal, timeoutMs: context.options.readTimeoutMs };
  const [answer] = await deps.kling.getTasks([referenceTo(attempt)], options).catch((error: unknown) => {
    context.log('error', 'Could not ask for a fresh link', { fileId: file.id, error });
    return [];
  });
  const video = answer?.kind === 'found' ? answer.report.video : null;
  if (!video || video.url === file.source_url) return undefined;
  const { expiresAtMs } = video;
  return { source_url: video.url, source_expires_at: expiresAtMs === null ? null : new Date(expiresAtMs) };
}

/** A file that was given up and is replayed has no link any more: Kling may still have it. */
async function askAgain(
  context: VideosContext,
  deps: ArchiveDeps,
  file: FileRow,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const fresh = await freshLink(context, deps, file, signal);
  signal.throwIfAborted();
  if (fresh) return retryFile(context, file, 0, withFreshLink, fresh);
  return failOrRetry(context, file, new Error('Kling gives out no link to it any more.'));
}

async function failOrRetry(context: VideosContext, file: FileRow, error: Error): Promise<HandlerResult> {
  const { kysely } = context.database;
  const { over } = await kysely
    .selectFrom('files')
    .select(
      sql<boolean>`dailies_now() > greatest(source_expires_at, created_at + ${keptForMs} * interval '1 millisecond')`.as(
        'over',
      ),
    )
    .where('id', '=', file.id)
    .executeTakeFirstOrThrow();
  context.log('error', 'A paid file could not be copied', {
    fileId: file.id,
    videoId: file.video_id,
    tries: file.tries,
    error,
  });
  if (over) return giveUp(context, file, error);
  if (error.message !== file.last_error) await tellDelay(context, file, error);
  const afterMs = backoffMs(context.options.archiveRetryMs, file.tries - 1, context.random());
  return retryFile(context, file, afterMs, error.message);
}

/** Whoever waits for the video sees in its events why; told again only when the reason is another. */
async function tellDelay(context: VideosContext, file: FileRow, cause: Error): Promise<void> {
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, file.video_id);
    const ours = await trx
      .selectFrom('files')
      .select('id')
      .where('id', '=', file.id)
      .where('lease_token', '=', file.lease_token)
      .where('state', '=', 'pending')
      .executeTakeFirst();
    if (!ours) return;
    const data = { job_id: video.id, status: video.state, reason: cause.message.slice(0, 1_000) };
    await recordEvent(trx, video.id, 'video.archive_delayed', data);
    afterCommit(() => context.events.notify());
  });
}

async function retryFile(
  context: VideosContext,
  file: FileRow,
  afterMs: number,
  reason: string,
  set: FreshLink | Record<never, never> = {},
): Promise<HandlerResult> {
  await context.database.kysely
    .updateTable('files')
    .set({
      ...set,
      last_error: reason.slice(0, 1_000),
      lease_until: null,
      due_at: databaseNowPlus(Math.round(afterMs)),
      published_at: null,
      publishes: 0,
    })
    .where('id', '=', file.id)
    .where('lease_token', '=', file.lease_token)
    .where('state', '=', 'pending')
    .execute();
  return { result: 'retry', afterMs, reason };
}

async function giveUp(context: VideosContext, file: FileRow, cause: Error): Promise<HandlerResult> {
  const error = videoError({
    code: 'archive_expired',
    message: `The file could not be copied before Kling deleted it: ${cause.message}`,
  });
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, file.video_id);
    const row = await trx
      .updateTable('files')
      .set({
        state: 'lost',
        source_url: null,
        lease_until: null,
        due_at: null,
        last_error: cause.message.slice(0, 1_000),
      })
      .where('id', '=', file.id)
      .where('lease_token', '=', file.lease_token)
      .where('state', '=', 'pending')
      .returning('id')
      .executeTakeFirst();
    if (!row) return;
    const set = { error: JSON.stringify(error) };
    const fence = { videoId: video.id, from: ['archiving'] as const, attemptNumber: video.attempt_number };
    const moved = await moveVideo(context, trx, { ...fence, to: 'failed', set, data: { error } });
    if (!moved) await recordEvent(trx, video.id, 'video.file_lost', { job_id: video.id, status: video.state, error });
    afterCommit(() => context.events.notify());
  });
  return { result: 'fail', reason: error.message };
}
