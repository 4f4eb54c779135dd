import type { VideosContext } from './context.ts';
import { createDeliveryLog } from './delivery-log.ts';
import { createEndpoints } from './endpoints.ts';
import type { Webhooks } from './webhooks.ts';

/** @param options `allowLoopback`: whether this machine's own addresses may be told, as for the sender */
export function createWebhooks(context: VideosContext, options: { readonly allowLoopback: boolean }): Webhooks {
  return { ...createEndpoints(context.database, options), ...createDeliveryLog(context) };
}
