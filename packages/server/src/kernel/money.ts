/**
 * Exact amounts in Kling units ("credits"), as decimal strings outside and whole micro-credits inside.
 * 1 video unit lists at US$0.14 (Kling pricing, kling-api.md 7.1).
 */
declare const creditsBrand: unique symbol;

/** Micro-credits: 1 credit = 1,000,000. Never NaN, never rounded silently. */
export type Credits = bigint & { readonly [creditsBrand]: true };

const microPerCredit = 1_000_000n;
/** US$0.14 per credit, in micro-dollars. */
const microDollarsPerCredit = 140_000n;

/**
 * Reads an exact amount such as `"2.4"`, `3`, `"-0.05"`.
 * @throws RangeError when it is not a plain decimal with at most six places
 */
export function credits(value: string | number | bigint): Credits {
  const match = /^(-)?(\d+)(?:\.(\d+))?$/.exec(String(value));
  const fraction = (match?.[3] ?? '').replace(/0+$/, '');
  if (!match || fraction.length > 6) throw new RangeError(`not an amount with at most six decimals: ${String(value)}`);
  const micro = BigInt(match[2] ?? '0') * microPerCredit + BigInt(fraction.padEnd(6, '0'));
  return (match[1] ? -micro : micro) as Credits; // the brand is the only thing this adds
}

export const noCredits: Credits = credits(0);

export function addCredits(...amounts: readonly Credits[]): Credits {
  return amounts.reduce<bigint>((sum, amount) => sum + amount, 0n) as Credits; // closed under addition
}

export function negateCredits(amount: Credits): Credits {
  return (0n - amount) as Credits; // closed under negation
}

/** An amount times a whole number (seconds, clips). */
export function multiplyCredits(amount: Credits, times: number): Credits {
  return (amount * BigInt(times)) as Credits; // closed under whole multiples; BigInt refuses fractions
}

/** Plain decimal without trailing zeros: `"2.4"`, `"3"`. What the database and receipts carry. */
export function creditsToString(amount: Credits): string {
  return decimal(amount, 6);
}

/** For JSON answers; exact for every amount below nine billion credits. */
export function creditsToNumber(amount: Credits): number {
  return Number(creditsToString(amount));
}

/** List-price US dollars, exact: `{ amount: "0.21", currency: "USD" }`. */
export function creditsToCost(amount: Credits): { amount: string; currency: 'USD' } {
  const microDollars = (amount * microDollarsPerCredit) / microPerCredit;
  const [whole = '0', fraction = ''] = decimal(microDollars, 6).split('.');
  return { amount: `${whole}.${fraction.padEnd(2, '0')}`, currency: 'USD' };
}

function decimal(micro: bigint, places: number): string {
  const sign = micro < 0n ? '-' : '';
  const digits = (micro < 0n ? -micro : micro).toString().padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -places)}${fraction && `.${fraction}`}`;
}
