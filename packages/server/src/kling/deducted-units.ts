import { z } from 'zod';
import { addCredits, credits, creditsToString, noCredits } from '../kernel/money.ts';
import type { Credits } from '../kernel/money.ts';

const amount = z.union([z.string(), z.number()]);
const bill = z.object({ charge_type: z.string().nullish(), amount });
const balance = z.object({ quota: amount.nullish() });

/**
 * `billing[]` of a new-standard record: the sum of its unit amounts. Null when it says nothing, or when money instead
 * of units was taken (`cash`): the price of units in an account's currency is not known here.
 */
export function unitsOfBilling(billing: unknown): string | null {
  if (!Array.isArray(billing) || billing.length === 0) return null;
  let sum = noCredits;
  for (const entry of billing) {
    const parsed = bill.safeParse(entry);
    const units = parsed.success ? exact(parsed.data.amount) : null;
    if (!parsed.success || units === null) return null;
    if (units === noCredits) continue;
    if (parsed.data.charge_type !== 'unit') return null;
    sum = addCredits(sum, units);
  }
  return creditsToString(sum);
}

/** The same for a legacy record's `final_unit_deduction` and `final_balance_deduction` (money). */
export function unitsOfDeduction(unitDeduction: unknown, balanceDeduction: unknown): string | null {
  const money = balance.safeParse(balanceDeduction);
  const quota = money.success && money.data.quota != null ? exact(money.data.quota) : noCredits;
  if (quota !== noCredits) return null;
  const parsed = amount.safeParse(unitDeduction);
  const units = parsed.success ? exact(parsed.data) : null;
  return units === null ? null : creditsToString(units);
}

function exact(value: string | number): Credits | null {
  try {
    const units = credits(typeof value === 'string' ? value.trim() : value);
    return units < 0n ? null : units;
  } catch {
    return null;
  }
}
