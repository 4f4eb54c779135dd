/**
 * What the HTTP edge may do with the webhook endpoints of a workspace and with the log of deliveries. An endpoint or a delivery of
 * another workspace does not exist (invariant 7).
 */
import type { Secret } from '../kernel/secret.ts';
import type { toldEventTypes } from './deliveries.ts';

export type ToldEventType = (typeof toldEventTypes)[number];

export interface WebhookEndpoint {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly eventTypes: readonly ToldEventType[];
  readonly createdAt: Date;
  /** The first failed try since the last success; null while it works. */
  readonly failingSince: Date | null;
  /** Null while it is told. */
  readonly disabled: { readonly at: Date; readonly reason: string } | null;
}

export interface NewEndpoint {
  readonly url: string;
  readonly description: string;
  readonly eventTypes: readonly ToldEventType[];
}

/** What is left out stays as it is. */
export type EndpointChange = Partial<NewEndpoint> & { readonly disabled?: boolean };

/** The only answers that carry the secret. */
export interface EndpointWithSecret {
  readonly endpoint: WebhookEndpoint;
  readonly secret: Secret;
}

export type DeliveryState = 'pending' | 'delivered' | 'failed';

export interface DeliveryRecord {
  /** Also the `webhook-id` of every try. */
  readonly id: string;
  readonly channel: 'webhook' | 'redis';
  readonly type: string;
  /** Null for a test. */
  readonly videoId: string | null;
  /** Null for the address of a video, and for Redis. */
  readonly endpointId: string | null;
  /** Null for Redis. */
  readonly url: string | null;
  readonly state: DeliveryState;
  readonly createdAt: Date;
  /** Null once it has ended. */
  readonly nextTryAt: Date | null;
  readonly deliveredAt: Date | null;
  /** Oldest first. */
  readonly tries: readonly DeliveryTry[];
}

export interface DeliveryTry {
  readonly startedAt: Date;
  readonly durationMs: number;
  /** HTTP status; null without an answer. */
  readonly status: number | null;
  /** Null where it arrived. */
  readonly error: string | null;
}

export interface DeliveryFilter {
  readonly endpointId: string | null;
  readonly videoId: string | null;
  readonly state: DeliveryState | null;
  /** 1 to 100. */
  readonly limit: number;
  /** Opaque, from an earlier page. */
  readonly cursor: string | null;
}

export interface DeliveryPage {
  /** Newest first. */
  readonly deliveries: readonly DeliveryRecord[];
  readonly nextCursor: string | null;
}

export interface Webhooks {
  /** Oldest first. */
  list(workspaceId: string): Promise<readonly WebhookEndpoint[]>;
  /** @throws NotFoundError */
  get(id: string, workspaceId: string): Promise<WebhookEndpoint>;
  /**
   * @throws AppError `too_many_webhooks`
   * @throws InputError for an address that webhooks may not go to
   */
  create(endpoint: NewEndpoint, workspaceId: string): Promise<EndpointWithSecret>;
  /**
   * Enabling forgets the failures.
   * @throws NotFoundError
   * @throws InputError for an address that webhooks may not go to
   */
  update(id: string, change: EndpointChange, workspaceId: string): Promise<WebhookEndpoint>;
  /** The log of its deliveries stays. @throws NotFoundError */
  delete(id: string, workspaceId: string): Promise<void>;
  /** A new secret; the old one signs too for a day. @throws NotFoundError */
  rotateSecret(id: string, workspaceId: string): Promise<EndpointWithSecret>;
  /**
   * Sends `webhook.test` at once, one try.
   * @throws NotFoundError
   * @throws AppError `delivery_conflict` while the endpoint is disabled
   */
  test(id: string, workspaceId: string): Promise<DeliveryRecord>;
  /** @throws NotFoundError for an endpoint or a video that does not exist */
  listDeliveries(filter: DeliveryFilter, workspaceId: string): Promise<DeliveryPage>;
  /** @throws NotFoundError */
  getDelivery(id: string, workspaceId: string): Promise<DeliveryRecord>;
  /**
   * Sends an ended delivery again under its old id, with all its tries.
   * @throws NotFoundError
   * @throws AppError `delivery_conflict` while it is pending, or when its endpoint is disabled or removed
   */
  redeliver(id: string, workspaceId: string): Promise<DeliveryRecord>;
}
