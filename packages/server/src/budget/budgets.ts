/** Limits and balances as the HTTP edge sees them; holds and captures are made by videos/ through ledger.ts. */
import type { Credits } from '../kernel/money.ts';

export interface BudgetRecord {
  readonly scope: string;
  readonly period: 'total';
  /** Null: no limit. */
  readonly limit: Credits | null;
  /** Undecided money of open videos. */
  readonly held: Credits;
  readonly captured: Credits;
  /** limit - held - captured, may be negative after a late success; null without a limit. */
  readonly available: Credits | null;
}

export interface Budgets {
  get(workspaceId: string): Promise<BudgetRecord>;
  /** Sets the limit for the workspace; null removes it. Takes effect for the next create. */
  setLimit(workspaceId: string, limit: Credits | null): Promise<BudgetRecord>;
}
