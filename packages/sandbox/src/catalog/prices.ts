import type { Level, Model } from './models.ts';

/** Thousandths of a Kling unit: every list price is a whole number of them, so sums stay exact. */
export type MilliUnits = number;

/**
 * What a clip costs: rate times requested seconds (the file is a frame longer, the bill is not).
 * @throws Error when the model has no such variant; validation comes first
 */
export function priceOf(
  model: Model,
  level: Level,
  durationSeconds: number,
  sound: boolean,
  voice = false,
): MilliUnits {
  const rates = sound ? model.rates.sound : model.rates.silent;
  const rate = rates?.[level];
  if (rate === undefined) throw new Error(`${model.version} has no price for ${level}, sound ${sound}`);
  // A chosen voice costs 20 % more than native sound; only the 2.6 list knows it.
  const withVoice = voice && model.version === 'kling-2.6' ? rate * 1.2 : rate;
  return withVoice * durationSeconds;
}

/** Plain decimal without trailing zeros, as Kling writes it: `"2.4"`, `"3"`. */
export function unitsText(milliUnits: MilliUnits): string {
  const fraction = String(milliUnits % 1000)
    .padStart(3, '0')
    .replace(/0+$/, '');
  return `${Math.trunc(milliUnits / 1000)}${fraction && `.${fraction}`}`;
}
