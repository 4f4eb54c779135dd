import type { Delivery, Webhook } from '@dailies/sdk';
import { table } from './table.ts';
import { span } from './words.ts';

const everyType = 4;

/** One line for each; what can be missed is last. */
export function webhookTable(webhooks: readonly Webhook[], nowMs: number, columns: number): string[] {
  if (webhooks.length === 0) return ['No webhooks.'];
  const rows = webhooks.map((webhook) => [webhook.id, stateWords(webhook, nowMs), typeWords(webhook), webhook.url]);
  return table(['ID', 'STATE', 'EVENTS', 'URL'], rows, columns);
}

function stateWords({ disabled_at: disabledAt, failing_since: failingSince }: Webhook, nowMs: number): string {
  if (disabledAt !== null) return 'disabled';
  return failingSince === null ? 'ok' : `failing for ${span(nowMs - Date.parse(failingSince))}`;
}

function typeWords({ event_types: types }: Webhook): string {
  return types.length >= everyType ? 'all' : types.map((type) => type.replace(/^video\./, '')).join(' ');
}

export function deliveryTable(deliveries: readonly Delivery[], nowMs: number, columns: number): string[] {
  if (deliveries.length === 0) return ['No deliveries.'];
  const rows = deliveries.map((delivery) => [
    delivery.id,
    delivery.status,
    delivery.type,
    String(delivery.tries.length),
    span(nowMs - Date.parse(delivery.created_at)),
    lastWords(delivery, nowMs),
  ]);
  return table(['ID', 'STATUS', 'EVENT', 'TRIES', 'AGE', 'LAST'], rows, columns);
}

/** How the last try went, and when the next one comes. */
export function lastWords({ tries, next_try_at: next, channel }: Delivery, nowMs: number): string {
  const last = tries.at(-1);
  const seen = last && (last.error ?? (last.status === null ? channel : `answered ${String(last.status)}`));
  const waits = next === null || tries.length === 0 ? undefined : `next try in ${span(Date.parse(next) - nowMs)}`;
  return [seen, waits].filter((part) => part !== undefined).join(' ') || 'not tried yet';
}
