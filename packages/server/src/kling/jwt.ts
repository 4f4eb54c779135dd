import { SignJWT } from 'jose';
import type { Clock } from '../kernel/clock.ts';
import type { Secret } from '../kernel/secret.ts';

/** Kling's authentication page: half an hour of life, valid from five seconds ago; all times in seconds. */
const lifeS = 1800;
const notBeforeS = 5;
/** A token is used for this long, so that it cannot expire on its way. */
const useMs = 1_500_000;
/** The `Date` header counts whole seconds and the answer travels: less than this is no skew. */
const skewMsMin = 3_000;

/** Signed tokens of one AK/SK pair. */
export interface Tokens {
  /** A token that Kling takes now; cached. */
  current(): Promise<string>;
  /** Makes the next call sign again. */
  forget(): void;
  /**
   * Compares Kling's clock with ours, so that the next token carries Kling's time.
   * @returns how far Kling's clock is ahead, in milliseconds, when it differs from what was assumed so far; else undefined
   */
  learn(serverTimeMs: number): number | undefined;
}

export function createTokens(accessKey: Secret, secretKey: Secret, clock: Clock): Tokens {
  let skewMs = 0;
  let cached: { readonly token: Promise<string>; readonly signedAtMs: number } | undefined;
  const nowMs = (): number => clock.wallMs() + skewMs;

  return {
    current() {
      const ageMs = cached ? nowMs() - cached.signedAtMs : Number.POSITIVE_INFINITY;
      if (cached && ageMs >= 0 && ageMs < useMs) return cached.token;
      cached = { token: sign(accessKey, secretKey, nowMs()), signedAtMs: nowMs() };
      return cached.token;
    },
    forget() {
      cached = undefined;
    },
    learn(serverTimeMs) {
      // The header is cut to the second: the middle of that second is the best guess.
      const measuredMs = serverTimeMs + 500 - clock.wallMs();
      if (Math.abs(measuredMs - skewMs) < skewMsMin) return undefined;
      skewMs = Math.abs(measuredMs) < skewMsMin ? 0 : measuredMs;
      cached = undefined;
      return skewMs;
    },
  };
}

/** No `iat`: Kling's sample has none. The key is the text of the SecretKey, not decoded. */
function sign(accessKey: Secret, secretKey: Secret, nowMs: number): Promise<string> {
  const nowS = Math.floor(nowMs / 1000);
  return new SignJWT({ iss: accessKey.reveal(), exp: nowS + lifeS, nbf: nowS - notBeforeS })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secretKey.reveal()));
}
