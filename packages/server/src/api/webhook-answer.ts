import type * as z from 'zod';
import type { DeliveryRecord, EndpointWithSecret, WebhookEndpoint } from '../videos/webhooks.ts';
import type { deliverySchema, webhookSchema, webhookWithSecretSchema } from './schemas/webhook-schemas.ts';

export function answerWebhook(endpoint: WebhookEndpoint): z.infer<typeof webhookSchema> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    description: endpoint.description,
    event_types: [...endpoint.eventTypes],
    created_at: endpoint.createdAt.toISOString(),
    failing_since: endpoint.failingSince?.toISOString() ?? null,
    disabled_at: endpoint.disabled?.at.toISOString() ?? null,
    disabled_reason: endpoint.disabled?.reason ?? null,
  };
}

export function answerWithSecret({ endpoint, secret }: EndpointWithSecret): z.infer<typeof webhookWithSecretSchema> {
  return { ...answerWebhook(endpoint), secret: secret.reveal() };
}

export function answerDelivery(delivery: DeliveryRecord): z.infer<typeof deliverySchema> {
  return {
    id: delivery.id,
    channel: delivery.channel,
    type: delivery.type,
    video_id: delivery.videoId,
    webhook_id: delivery.endpointId,
    url: delivery.url,
    status: delivery.state,
    created_at: delivery.createdAt.toISOString(),
    next_try_at: delivery.nextTryAt?.toISOString() ?? null,
    delivered_at: delivery.deliveredAt?.toISOString() ?? null,
    tries: delivery.tries.map((tried) => ({
      started_at: tried.startedAt.toISOString(),
      duration_ms: tried.durationMs,
      status: tried.status,
      error: tried.error,
    })),
  };
}
