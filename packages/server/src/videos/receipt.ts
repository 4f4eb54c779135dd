import type { Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { addCredits, credits, negateCredits, noCredits } from '../kernel/money.ts';
import { getVideoRow } from './records.ts';
import type { Receipt, ReceiptEntry } from './videos.ts';

/** Every movement of money and every attempt of a video. @throws NotFoundError */
export async function readReceipt(kysely: Kysely<Tables>, id: string, workspaceId: string): Promise<Receipt> {
  const video = await getVideoRow(kysely, id, workspaceId);
  const rows = await kysely.selectFrom('ledger_entries').selectAll().where('video_id', '=', id).orderBy('id').execute();
  const attempts = await kysely
    .selectFrom('attempts')
    .selectAll()
    .where('video_id', '=', id)
    .orderBy('number')
    .execute();
  const sumOf = (account: 'held' | 'captured') =>
    addCredits(...rows.filter((row) => row.account === account).map((row) => credits(row.amount)));
  const entries: ReceiptEntry[] = rows
    .filter((row) => row.account === (row.kind === 'capture' ? 'captured' : 'held'))
    .map((row) => {
      const amount = credits(row.amount);
      const { kind, reason, assumed, created_at: at } = row;
      return { kind, reason, assumed, at, amount: kind === 'release' ? negateCredits(amount) : amount };
    });
  return {
    videoId: id,
    priceBasis: video.price_basis,
    estimated: credits(video.estimated_credits),
    held: sumOf('held'),
    captured: sumOf('captured'),
    released: addCredits(
      noCredits,
      ...entries.filter((entry) => entry.kind === 'release').map((entry) => entry.amount),
    ),
    entries,
    attempts: attempts.map((attempt) => ({
      number: attempt.number,
      state: attempt.state,
      providerTaskId: attempt.task_id,
      deducted: attempt.deducted_credits === null ? null : credits(attempt.deducted_credits),
      startedAt: attempt.created_at,
      endedAt: attempt.ended_at,
    })),
  };
}
