/** Why a store did not do what was asked. Text never carries keys of other files, credentials or signed URLs. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  /**
   * - `missing`: there is no such file
   * - `invalid_key`: the key would leave the store's root
   * - `incomplete`: the stream ended early or late
   * - `full`: no space left; `denied`: not allowed; both need an operator
   * - `unavailable`: anything that may pass by itself
   */
  readonly reason: 'missing' | 'invalid_key' | 'incomplete' | 'full' | 'denied' | 'unavailable';

  constructor(reason: StorageError['reason'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}
