import { ensureBudget } from './budget/create-budgets.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { credits } from './kernel/money.ts';

/** Until workspaces can be made, everything belongs to this one. */
export const defaultWorkspace = 'ws_default';

/** The rows that every installation has: the workspace and its budget. Safe when several processes make them at once. */
export async function ensureInstallation(
  config: Pick<Config, 'provider' | 'videos'>,
  { kysely }: Database,
): Promise<void> {
  await kysely
    .insertInto('workspaces')
    .values({ id: defaultWorkspace, name: 'Default' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { budgetCredits } = config.videos;
  await ensureBudget(kysely, defaultWorkspace, config.provider, budgetCredits === null ? null : credits(budgetCredits));
}
