/** The signature scheme of Standard Webhooks (standardwebhooks.com), version `v1`: HMAC-SHA256 over id, time and body. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from './secret.ts';

export interface WebhookContent {
  /** Header `webhook-id`. */
  readonly id: string;
  /** Header `webhook-timestamp`: Unix seconds, as text. */
  readonly timestamp: string;
  /** The raw bytes as they travel; parsing and printing again changes them. */
  readonly body: Uint8Array | string;
}

/**
 * The value of the header `webhook-signature`.
 * @throws TypeError for an unusable secret; the message does not contain it
 */
export function signWebhook(content: WebhookContent, secret: Secret): string {
  const key = webhookKey(secret.reveal());
  if (!key) throw new TypeError('A webhook secret is `whsec_` and the Base64 of at least 16 bytes.');
  return `v1,${digest(content, key)}`;
}

/**
 * Whether one of the signatures (separated by spaces) was made with one of the secrets. Constant time per signature. It does
 * not look at the age of the timestamp.
 */
export function isSignedBy(content: WebhookContent, signatures: string, secrets: readonly Secret[]): boolean {
  const given = signatures.split(' ').flatMap((part) => (part.startsWith('v1,') ? [Buffer.from(part.slice(3))] : []));
  return secrets.some((secret) => {
    const key = webhookKey(secret.reveal());
    if (!key) return false;
    const expected = Buffer.from(digest(content, key));
    return given.some((candidate) => candidate.length === expected.length && timingSafeEqual(candidate, expected));
  });
}

/** Whether a text is usable as a webhook secret: `whsec_` and the Base64 of at least 16 bytes. */
export function isWebhookSecret(text: string): boolean {
  return webhookKey(text) !== undefined;
}

function digest({ id, timestamp, body }: WebhookContent, key: Buffer): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
}

/** A short or empty key would let anybody sign, so it is none. */
function webhookKey(text: string): Buffer | undefined {
  const encoded = /^whsec_([A-Za-z0-9+/_-]+={0,2})$/.exec(text)?.[1];
  const key = encoded === undefined ? undefined : Buffer.from(encoded, 'base64');
  return key && key.length >= 16 ? key : undefined;
}
