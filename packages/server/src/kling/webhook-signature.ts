import type { Secret } from '../kernel/secret.ts';
import { isSignedBy } from '../kernel/standard-webhooks.ts';

/** Kling's replay window (Callback Protocol page). */
const windowS = 300;

export interface SignedWebhook {
  /** Header `webhook-id`. */
  readonly id: string | undefined;
  /** Header `webhook-timestamp`: Unix seconds. */
  readonly timestamp: string | undefined;
  /** Header `webhook-signature`: `v1,<base64>`, several separated by spaces. */
  readonly signature: string | undefined;
  /** The raw bytes as they came. */
  readonly body: Uint8Array | string;
}

/**
 * Whether one of the secrets signed this webhook (Standard Webhooks scheme) within five minutes of now. Several
 * secrets: during Kling's rotation the old one and the new one are both valid.
 */
export function verifyWebhookSignature(webhook: SignedWebhook, secrets: readonly Secret[], nowMs: number): boolean {
  const { id, timestamp, signature, body } = webhook;
  if (!id || !signature || !timestamp || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > windowS) return false;
  return isSignedBy({ id, timestamp, body }, signature, secrets);
}
