/**
 * Dead letters can be read, replayed and dismissed. A replay only makes the row of the message due again, so that its handler decides under the
 * same fences as ever: what may have been bought is looked up before anything is sent, and nothing is bought a second time.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables, VideoState } from '../db/tables.ts';
import { inTransaction, type TransactionContext } from '../db/transaction.ts';
import { AppError, InputError, NotFoundError } from '../kernel/errors.ts';
import { idPrefixes } from '../kernel/ids.ts';
import type { VideosContext } from './context.ts';
import { redeliverIn } from './delivery-log.ts';
import { lockVideo } from './end-attempt.ts';
import { messageTables, publishWith } from './publish.ts';
import { judgeReplay, type LetterRow } from './replay-rules.ts';

export type DeadLetterKind = keyof typeof messageTables;

export interface DeadLetter {
  readonly kind: DeadLetterKind;
  /** Of the attempt, the file or the delivery. */
  readonly id: string;
  /** Null for a test of a webhook. */
  readonly videoId: string | null;
  readonly videoState: VideoState | null;
  readonly reason: string | null;
  readonly crashes: number;
  readonly deadAt: Date;
  readonly replayable: boolean;
  /** What a replay does, or what to do instead. */
  readonly hint: string;
}

export interface DeadLetterPage {
  /** Newest first. */
  readonly deadLetters: readonly DeadLetter[];
  readonly nextCursor: string | null;
}

/** A dead letter of another workspace does not exist (invariant 7). */
export interface DeadLetters {
  /** @param filter `limit` 1 to 100, `cursor` from an earlier page. @throws InputError for a cursor that no answer gave out */
  list(
    filter: { readonly limit: number; readonly cursor: string | null },
    workspaceId: string,
  ): Promise<DeadLetterPage>;
  /**
   * Makes its work due again at once and ends the dead letter. @returns it as it was
   * @throws NotFoundError
   * @throws AppError `dead_letter_conflict` where a replay can do nothing; the message says what to do instead
   */
  replay(kind: string, id: string, workspaceId: string): Promise<DeadLetter>;
  /** Ends the dead letter and leaves its work as it is. @throws NotFoundError */
  dismiss(kind: string, id: string, workspaceId: string): Promise<void>;
}

const idKinds = { submit: 'attempt', archive: 'file', notify: 'delivery' } as const;

export function createDeadLetters(context: VideosContext): DeadLetters {
  const { database, log } = context;
  return {
    async list({ limit, cursor }, workspaceId) {
      let query = selectLetters(database.kysely, workspaceId)
        .orderBy('letter.dead_at', 'desc')
        .orderBy('letter.kind', 'desc')
        .orderBy('letter.id', 'desc')
        .limit(limit + 1);
      if (cursor !== null) {
        const { micros, kind, id } = readCursor(cursor);
        query = query.where(
          sql<boolean>`(${deadMicros}, letter.kind, letter.id) < (${micros}::bigint, ${kind}::text, ${id}::text)`,
        );
      }
      const rows = await query.execute();
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        deadLetters: shown.map(toDeadLetter),
        nextCursor: rows.length > limit && last ? writeCursor(last) : null,
      };
    },

    async replay(kindText, id, workspaceId) {
      const kind = checkName(kindText, id);
      const letter = await inTransaction(database, async (transaction) => {
        const { trx } = transaction;
        const found = await readLetter(trx, kind, id, workspaceId);
        // Lock order: video, then its attempt, file or delivery, then the dead letter.
        if (found.video_id !== null) await lockVideo(trx, found.video_id);
        await sql`select 1 from ${sql.table(messageTables[kind])} where id = ${id} for update`.execute(trx);
        const row = await readLetter(trx, kind, id, workspaceId);
        const judged = judgeReplay(row);
        if (!judged.replayable) throw conflict(row, judged.hint);
        if (!(await removeLetter(trx, kind, id))) throw notThere(kind, id);
        await makeDue(context, transaction, row, workspaceId);
        return toDeadLetter(row);
      });
      log('info', 'A dead letter was replayed', { kind, id, videoId: letter.videoId, reason: letter.reason });
      return letter;
    },

    async dismiss(kindText, id, workspaceId) {
      const kind = checkName(kindText, id);
      const letter = await inTransaction(database, async ({ trx }) => {
        const row = await readLetter(trx, kind, id, workspaceId);
        if (!(await removeLetter(trx, kind, id))) throw notThere(kind, id);
        return row;
      });
      log('info', 'A dead letter was dismissed', { kind, id, videoId: letter.video_id, reason: letter.reason });
    },
  };
}

async function makeDue(
  context: VideosContext,
  transaction: TransactionContext,
  { kind, id, state }: LetterRow,
  workspaceId: string,
): Promise<void> {
  if (kind === 'notify' && state !== 'pending') return redeliverIn(context, transaction, id, workspaceId);
  const { trx } = transaction;
  const due = { due_at: databaseNow, published_at: databaseNow, publishes: 1 };
  await trx.updateTable(messageTables[kind]).set(due).where('id', '=', id).execute();
  if (state === 'lost') {
    const again = { state: 'pending', tries: 0, last_error: null } as const;
    await trx.updateTable('files').set(again).where('id', '=', id).where('state', '=', 'lost').execute();
  }
  await publishWith(context, transaction, [{ kind, id, workspaceId }]);
}

/** Whole microseconds: a time that went through JavaScript would have lost them. */
const deadMicros = sql<string>`round(extract(epoch from letter.dead_at) * 1000000)::bigint`;

/** Only what is dead: a row that merely counts crashes is no dead letter yet. */
function selectLetters(kysely: Kysely<Tables>, workspaceId: string) {
  return kysely
    .selectFrom('dead_letters as letter')
    .leftJoin('attempts as attempt', (join) =>
      join.onRef('attempt.id', '=', 'letter.id').on('letter.kind', '=', 'submit'),
    )
    .leftJoin('files as file', (join) => join.onRef('file.id', '=', 'letter.id').on('letter.kind', '=', 'archive'))
    .leftJoin('deliveries as delivery', (join) =>
      join.onRef('delivery.id', '=', 'letter.id').on('letter.kind', '=', 'notify'),
    )
    .leftJoin('webhook_endpoints as endpoint', 'endpoint.id', 'delivery.endpoint_id')
    .leftJoin('videos as video', (join) =>
      join.on(sql<boolean>`video.id = coalesce(attempt.video_id, file.video_id, delivery.video_id)`),
    )
    .where('letter.dead_at', 'is not', null)
    .where(sql<boolean>`coalesce(attempt.workspace_id, file.workspace_id, delivery.workspace_id) = ${workspaceId}`)
    .select([
      sql<DeadLetterKind>`letter.kind`.as('kind'), // the joins know no other
      'letter.id',
      'letter.reason',
      'letter.crashes',
      sql<Date>`letter.dead_at`.as('dead_at'), // not null by the condition
      sql<string>`${deadMicros}::text`.as('dead_micros'),
      'video.id as video_id',
      'video.state as video_state',
      'video.deleted_at as video_deleted_at',
      sql<LetterRow['state']>`coalesce(attempt.state, file.state, delivery.state)`.as('state'),
      sql<boolean>`coalesce(coalesce(attempt.lease_until, file.lease_until, delivery.lease_until) > dailies_now(), false)`.as(
        'busy',
      ),
      'endpoint.id as endpoint_id',
      'endpoint.disabled_at as endpoint_disabled_at',
      'endpoint.deleted_at as endpoint_deleted_at',
    ]);
}

async function readLetter(trx: Transaction<Tables>, kind: DeadLetterKind, id: string, workspaceId: string) {
  const row = await selectLetters(trx, workspaceId)
    .where('letter.kind', '=', kind)
    .where('letter.id', '=', id)
    .executeTakeFirst();
  if (!row) throw notThere(kind, id);
  return row;
}

/** False when another has been faster. */
async function removeLetter(trx: Transaction<Tables>, kind: DeadLetterKind, id: string): Promise<boolean> {
  const removed = await trx
    .deleteFrom('dead_letters')
    .where('kind', '=', kind)
    .where('id', '=', id)
    .where('dead_at', 'is not', null)
    .executeTakeFirst();
  return removed.numDeletedRows > 0n;
}

function toDeadLetter(row: LetterRow): DeadLetter {
  return {
    kind: row.kind,
    id: row.id,
    videoId: row.video_id,
    videoState: row.video_state,
    reason: row.reason,
    crashes: row.crashes,
    deadAt: row.dead_at,
    ...judgeReplay(row),
  };
}

function conflict({ kind, id, video_state: state }: LetterRow, hint: string): AppError {
  const data = state === null ? {} : { video_status: state };
  return new AppError('dead_letter_conflict', `The dead letter ${kind} ${id} cannot be replayed. ${hint}`, { data });
}

function notThere(kind: string, id: string): NotFoundError {
  return new NotFoundError('dead letter', `${kind}/${id}`);
}

/** What cannot be the name of one is not looked up, and answered like an unknown one. */
function checkName(kind: string, id: string): DeadLetterKind {
  if (isKind(kind) && isId(kind, id)) return kind;
  throw notThere(kind.slice(0, 20), id.slice(0, 100));
}

function isKind(kind: string): kind is DeadLetterKind {
  return Object.hasOwn(messageTables, kind);
}

function isId(kind: DeadLetterKind, id: string): boolean {
  return new RegExp(`^${idPrefixes[idKinds[kind]]}_[0-9a-z]{26}$`).test(id);
}

/** It carries the place itself: the row may be replayed or dismissed before the next page is asked for. */
function writeCursor(row: { readonly dead_micros: string; readonly kind: string; readonly id: string }): string {
  return Buffer.from(`${row.dead_micros} ${row.kind} ${row.id}`).toString('base64url');
}

function readCursor(cursor: string): { micros: string; kind: string; id: string } {
  const [micros = '', kind = '', id = '', ...rest] = Buffer.from(cursor, 'base64url').toString().split(' ');
  if (rest.length === 0 && /^\d{1,17}$/.test(micros) && isKind(kind) && isId(kind, id)) return { micros, kind, id };
  const detail = '`cursor` is not one that an answer gave out: leave it out to start from the newest dead letter.';
  throw new InputError([{ pointer: '?cursor', detail }]);
}
