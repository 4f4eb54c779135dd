/**
 * Why a file could not be downloaded. The text names the host and never the address: a provider's URL carries a signature
 * that is as good as a password.
 */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
  /**
   * - `expired`: the address is no longer honoured (401, 403); a fresh one may be
   * - `missing`: the file is gone from there (404, 410); a fresh address may help
   * - `refused_by_policy`: the address leads, at once or by a redirect, where we never go
   * - `too_large`: more than the cap
   * - `changed`: another file than at the first look
   * - `incomplete`: fewer or more bytes than announced, or a file cut short
   * - `unavailable`: anything that may pass by itself
   */
  readonly reason: DownloadFailure;
  readonly host: string;

  constructor(reason: DownloadFailure, host: string, explanation: string, cause?: unknown) {
    super(`Download from ${host}: ${explanation}`, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.host = host;
  }
}

export type DownloadFailure =
  | 'expired'
  | 'missing'
  | 'refused_by_policy'
  | 'too_large'
  | 'changed'
  | 'incomplete'
  | 'unavailable';
