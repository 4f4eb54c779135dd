import { creditsToString, multiplyCredits, type Credits } from '../kernel/money.ts';
import type { Price } from './model.ts';
import { getMode } from './models.ts';
import type { VideoRequest } from './request.ts';

/** What the price depends on. */
export type PricedPart = Pick<VideoRequest, 'model' | 'mode' | 'duration' | 'sound'>;

/** An exact price and, for people, how it came about. */
export interface PriceOfRequest {
  readonly credits: Credits;
  /** For example `0.3 credits/s x 5 s`. */
  readonly basis: string;
}

/**
 * What Kling charges for a validated request when it succeeds: rate times the requested whole seconds, or the listed
 * price of the clip (kling-api.md 7.2, 7.3). Estimate, hold and receipt all use this one function.
 * @throws Error for a request that validation would refuse
 */
export function priceOf(request: PricedPart): PriceOfRequest {
  const row = getMode(request);
  const price = request.sound ? row.sound : row.silent;
  const amount = price === null ? undefined : amountOf(price, request.duration);
  if (price === null || amount === undefined) throw new Error(`no price for ${request.model}, ${request.duration} s`);
  return {
    credits: amount,
    basis:
      price.per === 'second'
        ? `${creditsToString(price.credits)} credits/s x ${request.duration} s`
        : `${creditsToString(amount)} credits per ${request.duration} s clip`,
  };
}

function amountOf(price: Price, seconds: number): Credits | undefined {
  return price.per === 'second' ? multiplyCredits(price.credits, seconds) : price.credits.get(seconds);
}
