/**
 * The only writer of money. Double entry: every booking's entries sum to zero, and the budget row moves in the same
 * transaction. Callers hold the video's row lock, so one video's bookings never race (docs/guarantees.md).
 */
import { sql, type RawBuilder, type Transaction } from 'kysely';
import type { Provider, Tables } from '../db/tables.ts';
import { addCredits, creditsToString, negateCredits, noCredits, type Credits } from '../kernel/money.ts';

/** The video whose money moves, as its row says. */
export interface Account {
  readonly videoId: string;
  readonly workspaceId: string;
  readonly provider: Provider;
  /** Period of the acceptance: its hold, capture and release belong to it. */
  readonly periodStart: Date;
  readonly attemptNumber: number | null;
}

interface Booking {
  readonly kind: 'hold' | 'capture' | 'release';
  readonly reason: string;
  readonly assumed?: boolean;
  readonly held: Credits;
  readonly captured: Credits;
}

/**
 * Takes `amount` from the limit if it still fits: `held + captured + amount <= limit`. False, with nothing booked, if not. The budget row
 * is the hottest of all and must be locked as briefly as possible: a create calls this as late as it can (measured: first 1,128
 * creates/s, last 1,904).
 * @param then a change of one further row, which is made in the same statement and only if the amount fits
 */
export async function hold(
  trx: Transaction<Tables>,
  account: Account,
  amount: Credits,
  then: RawBuilder<unknown>,
): Promise<boolean> {
  const fits = sql<boolean>`(limit_credits is null
    or held_credits + captured_credits + ${creditsToString(amount)}::numeric <= limit_credits)`;
  return book(trx, account, { kind: 'hold', reason: 'accepted', held: amount, captured: noCredits }, fits, then);
}

/**
 * Turns what is held into a charge. `amount` may be more or less than the hold, and the hold may be gone already (a late success):
 * the rest of the hold goes back, the whole charge is captured.
 */
export async function capture(
  trx: Transaction<Tables>,
  account: Account,
  charge: { readonly held: Credits; readonly amount: Credits; readonly assumed: boolean; readonly reason: string },
): Promise<void> {
  const booking = { kind: 'capture', reason: charge.reason, assumed: charge.assumed } as const;
  await mustBook(trx, account, { ...booking, held: negateCredits(charge.held), captured: charge.amount });
}

/** Gives a whole hold back. */
export async function release(
  trx: Transaction<Tables>,
  account: Account,
  held: Credits,
  reason: string,
): Promise<void> {
  await mustBook(trx, account, { kind: 'release', reason, held: negateCredits(held), captured: noCredits });
}

async function mustBook(trx: Transaction<Tables>, account: Account, booking: Booking): Promise<void> {
  const booked = await book(trx, account, booking, sql<boolean>`true`);
  if (!booked) throw new Error(`there is no budget row for ${account.workspaceId} with ${account.provider}`);
}

/** Moves the budget row and writes the entries, in one statement; nothing of it where the condition does not hold. */
async function book(
  trx: Transaction<Tables>,
  account: Account,
  booking: Booking,
  condition: RawBuilder<boolean>,
  then?: RawBuilder<unknown>,
): Promise<boolean> {
  const available = negateCredits(addCredits(booking.held, booking.captured));
  const amounts = { available, held: booking.held, captured: booking.captured };
  const entries = (['available', 'held', 'captured'] as const)
    .filter((name) => amounts[name] !== noCredits || (name === 'captured' && booking.kind === 'capture'))
    .map((name) => sql`(${name}, ${creditsToString(amounts[name])}::numeric)`);
  const { rows } = await sql<{ moved: number }>`
    with moved as (
      update budgets set held_credits = held_credits + ${creditsToString(booking.held)}::numeric,
        captured_credits = captured_credits + ${creditsToString(booking.captured)}::numeric
      where scope = ${account.workspaceId} and provider = ${account.provider} and period = 'total'
        and period_start = ${account.periodStart} and ${condition}
      returning scope
    ), entries as (
      insert into ledger_entries
        (transaction_id, workspace_id, video_id, attempt_number, kind, account, amount, reason, assumed, created_at)
      select ${`${account.videoId}/${booking.kind}/${account.attemptNumber ?? 0}`}, moved.scope, ${account.videoId},
        ${account.attemptNumber}::int, ${booking.kind}, entry.account, entry.amount, ${booking.reason},
        ${booking.assumed ?? false}::boolean, dailies_now()
      from moved, (values ${sql.join(entries)}) entry (account, amount)
    )${then === undefined ? sql`` : sql`, followed as (${then} and exists (select 1 from moved))`}
    select count(*)::int as moved from moved`.execute(trx);
  return (rows[0]?.moved ?? 0) > 0;
}
