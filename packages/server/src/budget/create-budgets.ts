import { sql, type Kysely } from 'kysely';
import type { Provider, Tables } from '../db/tables.ts';
import { addCredits, credits, creditsToString, negateCredits, type Credits } from '../kernel/money.ts';
import type { BudgetRecord, Budgets } from './budgets.ts';

/** The one period there is now: everything since the beginning. */
export const totalPeriodStart = new Date(0);

export function createBudgets(kysely: Kysely<Tables>, provider: Provider): Budgets {
  const rowOf = (workspaceId: string) =>
    ({ scope: workspaceId, provider, period: 'total', period_start: totalPeriodStart }) as const;
  async function get(workspaceId: string): Promise<BudgetRecord> {
    const row = await kysely
      .selectFrom('budgets')
      .selectAll()
      .where(sameRow(rowOf(workspaceId)))
      .executeTakeFirst();
    const limit = row?.limit_credits == null ? null : credits(row.limit_credits);
    const held = credits(row?.held_credits ?? 0);
    const captured = credits(row?.captured_credits ?? 0);
    const available = limit === null ? null : addCredits(limit, negateCredits(held), negateCredits(captured));
    return { scope: workspaceId, period: 'total', limit, held, captured, available };
  }
  return {
    get,
    async setLimit(workspaceId, limit) {
      await kysely
        .updateTable('budgets')
        .set({ limit_credits: limit === null ? null : creditsToString(limit) })
        .where(sameRow(rowOf(workspaceId)))
        .execute();
      return get(workspaceId);
    },
  };
}

/** Makes sure that the workspace has its budget row. @param initial the limit of a row that is new; an existing one stays */
export async function ensureBudget(
  kysely: Kysely<Tables>,
  workspaceId: string,
  provider: Provider,
  initial: Credits | null,
): Promise<void> {
  await kysely
    .insertInto('budgets')
    .values({
      scope: workspaceId,
      provider,
      period: 'total',
      period_start: totalPeriodStart,
      limit_credits: initial === null ? null : creditsToString(initial),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function sameRow(row: { scope: string; provider: Provider; period: 'total'; period_start: Date }) {
  return sql<boolean>`scope = ${row.scope} and provider = ${row.provider} and period = ${row.period} and period_start = ${row.period_start}`;
}
