import type { Secret } from '../kernel/secret.ts';
import { signWebhook } from '../kernel/standard-webhooks.ts';

/**
 * The three headers that let a receiver check who sent a body and when (Standard Webhooks).
 * @param secrets every one signs, so that a receiver that knows one of them can check
 * @param nowMs wall clock at this try: receivers refuse what is minutes old
 */
export function webhookHeaders(
  id: string,
  body: string,
  secrets: readonly Secret[],
  nowMs: number,
): { 'webhook-id': string; 'webhook-timestamp': string; 'webhook-signature': string } {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = secrets.map((secret) => signWebhook({ id, timestamp, body }, secret)).join(' ');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
}
