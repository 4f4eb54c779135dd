import type { Secret } from '../kernel/secret.ts';

/**
 * The port through which users hear of their videos outside of our API. Called by worker/deliver.ts, which keeps the retries and
 * the log. A notifier sends one notification once: it never retries, never stores and never decides what is worth telling.
 */
export interface Notifier {
  /**
   * Sends one notification to one address, within a time limit of its own.
   * @throws only the reason of `signal` when that has fired; every failure of the receiver is an answer
   */
  send(notification: OutgoingNotification, signal: AbortSignal): Promise<SendResult>;
}

export interface OutgoingNotification {
  /** The same for every try, so that a receiver can drop what it has had. */
  readonly id: string;
  /** Null where the notifier has one place of its own. */
  readonly url: string | null;
  /** What signs it instead of the notifier's own secret; two while a receiver changes from one to the other. */
  readonly secrets?: readonly Secret[];
  readonly payload: NotificationPayload;
}

/** What the receiver gets as JSON. */
export interface NotificationPayload {
  readonly type: string;
  /** When it happened, RFC 3339; a later try does not change it. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * - `delivered`: the receiver has it
 * - `failed`: another try may work
 * - `refused`: no try will ever work; the receiver wants no more, or the address is not allowed
 *
 * `status` is the receiver's HTTP status, null without an answer or where there is no HTTP. Reasons name no secret and no URL, only its host.
 */
export type SendResult =
  | { readonly outcome: 'delivered'; readonly status: number | null }
  | { readonly outcome: 'failed' | 'refused'; readonly status: number | null; readonly reason: string };
