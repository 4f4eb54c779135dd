import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../kernel/secret.ts';

/** Kling's replay window (Callback Protocol page). */
const windowS = 300;

export interface SignedWebhook {
  /** Header `webhook-id`. */
  readonly id: string | undefined;
  /** Header `webhook-timestamp`: Unix seconds. */
  readonly timestamp: string | undefined;
  /** Header `webhook-signature`: `v1,<base64>`, several separated by spaces. */
  readonly signature: string | undefined;
  /** The raw bytes as they came; parsing and printing again changes them. */
  readonly body: Uint8Array | string;
}

/**
 * Whether one of the secrets signed this webhook (Standard Webhooks scheme) within five minutes of now. Several
 * secrets: during Kling's rotation the old one and the new one are both valid. Constant time per signature.
 */
export function verifyWebhookSignature(webhook: SignedWebhook, secrets: readonly Secret[], nowMs: number): boolean {
  const { id, timestamp, signature, body } = webhook;
  if (!id || !signature || !timestamp || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > windowS) return false;
  const given = signature.split(' ').flatMap((part) => (part.startsWith('v1,') ? [Buffer.from(part.slice(3))] : []));
  return secrets.some((secret) => {
    const key = webhookKey(secret.reveal());
    if (!key) return false;
    const expected = Buffer.from(createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64'));
    return given.some((candidate) => candidate.length === expected.length && timingSafeEqual(candidate, expected));
  });
}

/** Whether a text is usable as a Kling webhook secret: `whsec_` and the Base64 of at least 16 bytes. */
export function isWebhookSecret(text: string): boolean {
  return webhookKey(text) !== undefined;
}

/** A short or empty key would let anybody sign, so it verifies nothing. */
function webhookKey(text: string): Buffer | undefined {
  const encoded = /^whsec_([A-Za-z0-9+/_-]+={0,2})$/.exec(text)?.[1];
  const key = encoded === undefined ? undefined : Buffer.from(encoded, 'base64');
  return key && key.length >= 16 ? key : undefined;
}
