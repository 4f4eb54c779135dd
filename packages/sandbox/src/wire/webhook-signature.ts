import { createHmac } from 'node:crypto';

/**
 * The Standard Webhooks headers of one callback; every secret signs, so that a rotation breaks nobody
 * (Kling callback-protocol page, since 2026-08-07).
 */
export function webhookHeaders(
  secrets: readonly string[],
  message: { readonly id: string; readonly timestampSeconds: number; readonly body: string },
): Record<string, string> {
  if (secrets.length === 0) return {};
  const { id, timestampSeconds, body } = message;
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
  };
}
