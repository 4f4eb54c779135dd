import { listPages } from './pages.ts';
import { path } from './path.ts';
import type { ApiRequest, Transport } from './transport.ts';
import type {
  CreateWebhook,
  Delivery,
  DeliveryPage,
  DeliveryStatus,
  UpdateWebhook,
  Webhook,
  WebhookList,
  WebhookWithSecret,
} from './types.ts';
import type { CallOptions } from './videos.ts';

export interface DeliveryFilter {
  /** Only those of this webhook, or else of this video. */
  readonly webhook?: string;
  readonly video?: string;
  readonly status?: DeliveryStatus;
  /** Deliveries per page, 1 to 100. */
  readonly limit?: number;
  /** Where an earlier page ended (`next_cursor`). */
  readonly cursor?: string;
}

/** Iterate it for every delivery, newest first, page after page; or take a single page. */
export interface DeliveryList extends AsyncIterable<Delivery> {
  page(): Promise<DeliveryPage>;
}

/** Every member rejects with a DailiesError, or with the reason of an aborted `signal`. */
export interface WebhooksResource {
  /** The answer is the only one that carries the secret. Not repeated by itself: a lost answer may have made a webhook. */
  create(body: CreateWebhook, options?: CallOptions): Promise<WebhookWithSecret>;
  /** Oldest first. */
  list(options?: CallOptions): Promise<readonly Webhook[]>;
  get(id: string, options?: CallOptions): Promise<Webhook>;
  update(id: string, change: UpdateWebhook, options?: CallOptions): Promise<Webhook>;
  /** The log of its deliveries stays. */
  delete(id: string, options?: CallOptions): Promise<void>;
  /** A new secret; for a day everything is signed with the old one too. Not repeated by itself. */
  rotateSecret(id: string, options?: CallOptions): Promise<WebhookWithSecret>;
  /** Sends `webhook.test` at once; get the delivery to see how it went. */
  test(id: string, options?: CallOptions): Promise<Delivery>;
  /** @throws TypeError when both a webhook and a video are given */
  deliveries(filter?: DeliveryFilter, options?: CallOptions): DeliveryList;
  getDelivery(id: string, options?: CallOptions): Promise<Delivery>;
  /** Sends an ended delivery again under its old `webhook-id`. */
  redeliver(id: string, options?: CallOptions): Promise<Delivery>;
}

export function createWebhooksResource(transport: Transport): WebhooksResource {
  const call = <Answer>(
    method: ApiRequest['method'],
    target: string,
    options: CallOptions,
    rest: { readonly body?: unknown; readonly repeatable?: boolean } = {},
  ): Promise<Answer> => {
    const { body, repeatable = true } = rest;
    const content = body === undefined ? {} : { body };
    return transport.json<Answer>({ method, path: target, signal: options.signal, repeatable, ...content });
  };
  const once = { repeatable: false };
  return {
    create: async (body, options = {}) => call('POST', '/api/webhooks', options, { body, ...once }),
    list: async (options = {}) => (await call<WebhookList>('GET', '/api/webhooks', options)).data,
    get: async (id, options = {}) => call('GET', path`/api/webhooks/${id}`, options),
    update: async (id, body, options = {}) => call('PATCH', path`/api/webhooks/${id}`, options, { body }),
    delete: async (id, options = {}) => call('DELETE', path`/api/webhooks/${id}`, options),
    rotateSecret: async (id, options = {}) => call('POST', path`/api/webhooks/${id}/rotate-secret`, options, once),
    test: async (id, options = {}) => call('POST', path`/api/webhooks/${id}/test`, options, once),
    deliveries: (filter = {}, options = {}) => listDeliveries(transport, filter, options.signal),
    getDelivery: async (id, options = {}) => call('GET', path`/api/webhook-deliveries/${id}`, options),
    // A repetition would be refused as "pending" and hide that the first one worked.
    redeliver: async (id, options = {}) => call('POST', path`/api/webhook-deliveries/${id}/redeliver`, options, once),
  };
}

function listDeliveries(
  transport: Transport,
  { webhook, video, ...filter }: DeliveryFilter,
  signal: AbortSignal | undefined,
): DeliveryList {
  if (webhook !== undefined && video !== undefined) throw new TypeError('Give a webhook or a video, not both.');
  const target = webhook === undefined ? '/api/webhook-deliveries' : path`/api/webhooks/${webhook}/deliveries`;
  const query = { video, status: filter.status, limit: filter.limit, cursor: filter.cursor };
  return listPages<Delivery, DeliveryPage>(transport, { path: target, query, signal });
}
