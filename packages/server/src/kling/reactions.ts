import type { Answer } from './answer.ts';
import { saysAlreadyExists, saysModelIsGone } from './failure-texts.ts';
import type { Verdict } from './failure-texts.ts';
import type { ProviderFailure, Reaction } from './kling-api.ts';

/** Kling's service codes that mean "certainly not created" (Kling error-code page). */
const reactionByCode: ReadonlyMap<number, Reaction> = new Map([
  [1000, 'pause_account'], // authentication failed
  [1001, 'pause_account'], // Authorization empty
  [1002, 'pause_account'], // Authorization invalid
  [1003, 'pause_account'], // token not valid yet, after one re-sign
  [1004, 'pause_account'], // token expired, after one re-sign
  [1100, 'pause_account'], // account in abnormal state
  [1101, 'pause_account'], // account in arrears
  [1102, 'pause_pool'], // no resource pack of this type
  [1103, 'pause_pool'], // no permission for this API or model
  [1200, 'fail_video'], // invalid request parameters
  [1201, 'fail_video'], // invalid key or value
  [1202, 'pause_pool'], // wrong method
  [1203, 'fail_video'], // no such resource
  [1300, 'fail_video'], // platform policy
  [1301, 'fail_video'], // content safety
  [1302, 'slow_account'], // too many requests
  [1303, 'back_off_pool'], // concurrency above the pack's limit
  [1304, 'pause_account'], // IP not on the white list
]);

/** Codes whose message may say "already exists", beside codes that we do not know. */
const inputCodes: ReadonlySet<number> = new Set([1200, 1201, 1203]);

/**
 * What an answer that is no success does to attempt, video, pool and account: the one table. Only what Kling said in
 * its own envelope with a 2xx or 4xx status is certain; whatever could hide a created task is `doubt`.
 */
export function reactionTo({ httpStatus, code, message }: Verdict): Reaction {
  if (httpStatus === null || httpStatus >= 500) return 'doubt';
  const refused = httpStatus >= 400;
  if (code === null) return httpStatus === 404 ? 'pause_pool' : 'doubt';
  const known = reactionByCode.get(code);
  if (code === 0 || code >= 5000 || (!known && !refused)) return 'doubt';
  if ((!known || inputCodes.has(code)) && saysAlreadyExists(message)) return 'already_exists';
  return known ?? (saysModelIsGone(message) ? 'fail_video' : 'pause_pool');
}

/** An answer that is no success, as a failure with its reaction. */
export function failureOf(answer: Answer): ProviderFailure {
  const { httpStatus, code, message, requestId, retryAfterMs, neverSent } = answer;
  return { httpStatus, code, message, requestId, retryAfterMs, neverSent, reaction: reactionTo(answer) };
}
