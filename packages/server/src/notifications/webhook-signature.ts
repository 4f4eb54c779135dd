import type { Secret } from '../kernel/secret.ts';
import { signWebhook } from '../kernel/standard-webhooks.ts';

/**
 * The three headers that let a receiver check who sent a body and when (Standard Webhooks).
 * @param nowMs wall clock at this try: receivers refuse what is minutes old
 */
export function webhookHeaders(
  id: string,
  body: string,
  secret: Secret,
  nowMs: number,
): { 'webhook-id': string; 'webhook-timestamp': string; 'webhook-signature': string } {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = signWebhook({ id, timestamp, body }, secret);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
}
