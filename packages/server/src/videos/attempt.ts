/** Attempts: the one list of their states and legal moves, and the claim that every worker makes before it touches one. */
import { sql, type Kysely, type Selectable } from 'kysely';
import { databaseNowPlus } from '../db/now.ts';
import type { AttemptState, Tables, VideoState } from '../db/tables.ts';

export type AttemptRow = Selectable<Tables['attempts']>;

/**
 * `intended -> sent -> accepted -> ended`; beside them `doubtful` (a POST whose outcome is unknown), `refused` (certainly not
 * created: no slot, no charge) and `abandoned` (given up by us, still looked at).
 */
export const attemptMoves = {
  intended: ['sent', 'refused', 'accepted', 'doubtful'],
  sent: ['sent', 'intended', 'doubtful', 'accepted', 'refused'],
  doubtful: ['sent', 'intended', 'accepted', 'refused'],
  accepted: ['ended', 'abandoned'],
  ended: [],
  refused: [],
  abandoned: ['ended'],
} as const satisfies Record<AttemptState, readonly AttemptState[]>;

/** States in which the submit handler owns the attempt. */
export const submitStates = ['intended', 'sent', 'doubtful'] as const satisfies readonly AttemptState[];

/** A claimed attempt with what stood in the way of sending it at that moment. */
export interface ClaimedForSubmit extends AttemptRow {
  readonly videoState: VideoState | null;
  /** The account or pool was paused after the attempt was made. */
  readonly paused: boolean;
  /** Until the account may send again; null or below zero: now. */
  readonly waitMs: number | null;
}

/**
 * Claims an attempt for submitting or looking up: raises its token and takes a lease. Every later statement names the token, so
 * that a worker that slept through its lease changes nothing.
 */
export async function claimAttempt(
  kysely: Kysely<Tables>,
  attemptId: string,
  leaseMs: number,
): Promise<ClaimedForSubmit | undefined> {
  return kysely
    .updateTable('attempts')
    .from('pools')
    .innerJoin('accounts', 'accounts.id', 'pools.account_id')
    .set({
      lease_token: sql`lease_token + 1`,
      lease_until: databaseNowPlus(leaseMs),
    })
    .where('attempts.id', '=', attemptId)
    .whereRef('pools.id', '=', 'attempts.pool_id')
    .where('attempts.state', 'in', submitStates)
    .where(sql<boolean>`(lease_until is null or lease_until <= dailies_now())`)
    .where(sql<boolean>`(due_at is null or due_at <= dailies_now())`)
    .returningAll('attempts')
    .returning((query) =>
      query
        .selectFrom('videos')
        .select('videos.state')
        .whereRef('videos.id', '=', 'attempts.video_id')
        .as('videoState'),
    )
    .returning(
      sql<boolean>`coalesce(greatest(pools.paused_at, accounts.paused_at) > attempts.created_at, false)`.as('paused'),
    )
    .returning(
      sql<number | null>`(extract(epoch from accounts.not_before - dailies_now()) * 1000)::float8`.as('waitMs'),
    )
    .executeTakeFirst();
}

/** True while no POST of the attempt may have created anything: nothing was sent, or all of it was certainly refused. */
export function isCertain(attempt: Pick<AttemptRow, 'sent_count' | 'refused_count'>): boolean {
  return attempt.sent_count === attempt.refused_count;
}
