import type * as z from 'zod';
import { creditsToCost, creditsToNumber } from '../kernel/money.ts';
import type { Receipt } from '../videos/videos.ts';
import type { receiptSchema } from './schemas/money-schemas.ts';

export function answerReceipt(receipt: Receipt): z.infer<typeof receiptSchema> {
  return {
    video_id: receipt.videoId,
    price_basis: receipt.priceBasis,
    estimated_credits: creditsToNumber(receipt.estimated),
    held_credits: creditsToNumber(receipt.held),
    captured_credits: creditsToNumber(receipt.captured),
    released_credits: creditsToNumber(receipt.released),
    captured_cost: creditsToCost(receipt.captured),
    entries: receipt.entries.map((entry) => ({
      kind: entry.kind,
      credits: creditsToNumber(entry.amount),
      reason: entry.reason,
      assumed: entry.assumed,
      created_at: entry.at.toISOString(),
    })),
    attempts: receipt.attempts.map((attempt) => ({
      number: attempt.number,
      state: attempt.state,
      provider_task_id: attempt.providerTaskId,
      deducted_credits: attempt.deducted === null ? null : creditsToNumber(attempt.deducted),
      started_at: attempt.startedAt.toISOString(),
      ended_at: attempt.endedAt?.toISOString() ?? null,
    })),
  };
}
