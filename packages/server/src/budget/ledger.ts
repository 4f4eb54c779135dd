/**
 * The only writer of money. Double entry: every booking's entries sum to zero, and the budget row moves in the same
 * transaction. Callers hold the video's row lock, so one video's bookings never race (docs/guarantees.md).
 */
import { sql, type Transaction } from 'kysely';
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
 * Writes the entries of a hold. The budget row itself is moved by `holdBudget`, the last statement before the commit:
 * as the hottest row it must be locked as briefly as possible (measured: first 1,128 creates/s, last 1,904).
 */
export async function bookHold(trx: Transaction<Tables>, account: Account, amount: Credits): Promise<void> {
  await writeEntries(trx, account, { kind: 'hold', reason: 'accepted', held: amount, captured: noCredits });
}

/** Takes `amount` from the limit if it still fits: `held + captured + amount <= limit`. False, with nothing changed, if not. */
export async function holdBudget(
  trx: Transaction<Tables>,
  account: Pick<Account, 'workspaceId' | 'provider' | 'periodStart'>,
  amount: Credits,
): Promise<boolean> {
  const text = creditsToString(amount);
  const updated = await trx
    .updateTable('budgets')
    .set({ held_credits: sql`held_credits + ${text}::numeric` })
    .where('scope', '=', account.workspaceId)
    .where('provider', '=', account.provider)
    .where('period', '=', 'total')
    .where('period_start', '=', account.periodStart)
    .where(sql<boolean>`(limit_credits is null or held_credits + captured_credits + ${text}::numeric <= limit_credits)`)
    .executeTakeFirst();
  return updated.numUpdatedRows > 0n;
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
  await book(trx, account, { ...booking, held: negateCredits(charge.held), captured: charge.amount });
}

/** Gives a whole hold back. */
export async function release(
  trx: Transaction<Tables>,
  account: Account,
  held: Credits,
  reason: string,
): Promise<void> {
  await book(trx, account, { kind: 'release', reason, held: negateCredits(held), captured: noCredits });
}

async function book(trx: Transaction<Tables>, account: Account, booking: Booking): Promise<void> {
  await writeEntries(trx, account, booking);
  await trx
    .updateTable('budgets')
    .set({
      held_credits: sql`held_credits + ${creditsToString(booking.held)}::numeric`,
      captured_credits: sql`captured_credits + ${creditsToString(booking.captured)}::numeric`,
    })
    .where('scope', '=', account.workspaceId)
    .where('provider', '=', account.provider)
    .where('period', '=', 'total')
    .where('period_start', '=', account.periodStart)
    .execute();
}

async function writeEntries(trx: Transaction<Tables>, account: Account, booking: Booking): Promise<void> {
  const available = negateCredits(addCredits(booking.held, booking.captured));
  const amounts = { available, held: booking.held, captured: booking.captured };
  const common = {
    transaction_id: `${account.videoId}/${booking.kind}/${account.attemptNumber ?? 0}`,
    workspace_id: account.workspaceId,
    video_id: account.videoId,
    attempt_number: account.attemptNumber,
    kind: booking.kind,
    reason: booking.reason,
    assumed: booking.assumed ?? false,
  };
  const rows = (['available', 'held', 'captured'] as const)
    .filter((name) => amounts[name] !== noCredits || (name === 'captured' && booking.kind === 'capture'))
    .map((name) => ({
      ...common,
      account: name,
      amount: creditsToString(amounts[name]),
      created_at: sql<Date>`dailies_now()`,
    }));
  if (rows.length > 0) await trx.insertInto('ledger_entries').values(rows).execute();
}
