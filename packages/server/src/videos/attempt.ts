/** Attempts: the one list of their states and legal moves, and the claim that every worker makes before it touches one. */
import { sql, type Kysely, type Selectable } from 'kysely';
import type { AttemptState, Tables } from '../db/tables.ts';

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

/**
 * Claims an attempt for submitting or looking up: raises its token and takes a lease. Every later statement names the token, so
 * that a worker that slept through its lease changes nothing.
 */
export async function claimAttempt(
  kysely: Kysely<Tables>,
  attemptId: string,
  leaseMs: number,
): Promise<AttemptRow | undefined> {
  return kysely
    .updateTable('attempts')
    .set({
      lease_token: sql`lease_token + 1`,
      lease_until: sql<Date>`dailies_now() + ${leaseMs} * interval '1 millisecond'`,
    })
    .where('id', '=', attemptId)
    .where('state', 'in', submitStates)
    .where(sql<boolean>`(lease_until is null or lease_until <= dailies_now())`)
    .where(sql<boolean>`(due_at is null or due_at <= dailies_now())`)
    .returningAll()
    .executeTakeFirst();
}

/** True while no POST of the attempt may have created anything: nothing was sent, or all of it was certainly refused. */
export function isCertain(attempt: Pick<AttemptRow, 'sent_count' | 'refused_count'>): boolean {
  return attempt.sent_count === attempt.refused_count;
}
