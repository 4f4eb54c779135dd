/**
 * What the HTTP API sends and takes, named as on the wire. Fields are only added within v1, so treat objects as open:
 * an answer may carry more than is written here. A test compares these names with the published OpenAPI document.
 */

/** `completed`, `failed` and `canceled` are final. */
export type VideoStatus = 'queued' | 'submitting' | 'generating' | 'archiving' | 'completed' | 'failed' | 'canceled';

/** What `POST /api/videos` takes. The server validates; GET /api/models lists what each model accepts. */
export interface CreateVideo {
  readonly prompt?: string;
  /** Canonical id or alias; the server's default when absent. */
  readonly model?: string;
  readonly mode?: string;
  /** Seconds. */
  readonly duration?: number | string;
  readonly aspect_ratio?: string;
  readonly sound?: boolean;
  readonly negative_prompt?: string;
  readonly cfg_scale?: number;
  readonly watermark?: boolean;
  /** Up to 16 pairs; `list` can filter by them. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly webhook_url?: string;
  /** RFC 3339; a video that has not started by then fails without a charge. */
  readonly start_before?: string;
  readonly [field: string]: unknown;
}

export interface Video {
  readonly id: string;
  /** The same as `id`. */
  readonly job_id: string;
  readonly status: VideoStatus;
  readonly provider: 'kling' | 'sandbox';
  readonly product: string;
  readonly model: string;
  readonly mode: string | null;
  /** Seconds. */
  readonly duration: number;
  readonly aspect_ratio: string;
  readonly sound: boolean;
  readonly prompt: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Kling API units; what is held. */
  readonly estimated_credits: number;
  /** Null while undecided. */
  readonly charged_credits: number | null;
  readonly estimated_cost: Cost;
  /** Null once it has left the queue for good. */
  readonly queue: QueueEstimate | null;
  /** A signed link that expires; get the video again for a fresh one. */
  readonly video_url: string | null;
  readonly poster_url: string | null;
  readonly file: VideoFile | null;
  readonly error: VideoError | null;
  readonly warnings: readonly Warning[];
  /** The video that this one repeats. */
  readonly retry_of: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  /** When the owner deleted the file; the video stays readable. */
  readonly deleted_at: string | null;
  readonly links: VideoLinks;
}

export interface Cost {
  /** Exact decimal at list price. */
  readonly amount: string;
  readonly currency: string;
}

export interface QueueEstimate {
  /** From 1; 0 when it already holds a slot; null above 1,000. */
  readonly position: number | null;
  readonly starts_at: string | null;
  readonly ends_at: string | null;
}

export interface VideoFile {
  readonly bytes: number;
  readonly seconds: number | null;
  readonly width: number | null;
  readonly height: number | null;
  /** Hex, of the stored bytes. */
  readonly sha256: string;
}

/** Why a video ended without a file. */
export interface VideoError {
  readonly code: string;
  readonly message: string;
  /** Whether a retry may succeed without a change. */
  readonly retryable: boolean;
  readonly provider_code: number | null;
  readonly provider_request_id: string | null;
}

export interface Warning {
  readonly code: string;
  readonly message: string;
}

export interface VideoLinks {
  readonly self: string;
  readonly events: string;
  /** Null while there is no file. */
  readonly content: string | null;
  /** Null once it can no longer be canceled. */
  readonly cancel: string | null;
}

export interface VideoPage {
  /** Newest first. */
  readonly data: readonly Video[];
  readonly next_cursor: string | null;
}

/** The validated request with its price; nothing was stored or held. */
export interface Estimate {
  readonly provider: 'kling' | 'sandbox';
  readonly product: string;
  readonly model: string;
  readonly mode: string | null;
  readonly duration: number;
  readonly aspect_ratio: string;
  readonly sound: boolean;
  readonly estimated_credits: number;
  readonly estimated_cost: Cost;
  /** How the price was made, in words. */
  readonly price_basis: string;
  readonly warnings: readonly Warning[];
  readonly queue: QueueEstimate;
  /** Credits left under the limit; null without a limit. */
  readonly available_credits: number | null;
  /** Whether creating it now would be accepted. */
  readonly within_budget: boolean;
}

/** Where the money of one video went. */
export interface Receipt {
  readonly video_id: string;
  readonly price_basis: string;
  readonly estimated_credits: number;
  /** Undecided money; zero at the end. */
  readonly held_credits: number;
  readonly captured_credits: number;
  readonly released_credits: number;
  readonly captured_cost: Cost;
  /** Oldest first. */
  readonly entries: readonly ReceiptEntry[];
  /** Every task that was bought or tried. */
  readonly attempts: readonly ReceiptAttempt[];
}

export interface ReceiptEntry {
  readonly kind: 'hold' | 'capture' | 'release';
  readonly credits: number;
  readonly reason: string;
  /** True when the provider did not name an amount and the hold was taken instead. */
  readonly assumed: boolean;
  readonly created_at: string;
}

export interface ReceiptAttempt {
  readonly number: number;
  readonly state: string;
  readonly provider_task_id: string | null;
  readonly deducted_credits: number | null;
  readonly started_at: string;
  readonly ended_at: string | null;
}

export interface Budget {
  readonly scope: string;
  readonly period: string;
  /** Null: no limit. */
  readonly limit_credits: number | null;
  readonly held_credits: number;
  readonly captured_credits: number;
  /** Negative after a late success beyond the limit; null without a limit. */
  readonly available_credits: number | null;
}

/** One event of a video's stream. */
export interface VideoEvent {
  /** Per video, from 1, without gaps; as text it is the `lastEventId` to go on after it. */
  readonly seq: number;
  readonly video_id: string;
  /** `video.queued`, … one per status, `video.archive_delayed`, `video.file_stored`, `video.charged`, `video.deleted`. */
  readonly type: string;
  /** The event's own facts. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly created_at: string;
}

/** What can be sent to a webhook. */
export type WebhookEventType = 'video.completed' | 'video.failed' | 'video.canceled' | 'video.file_stored';

/** Where a workspace wants to hear of its videos. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly event_types: readonly WebhookEventType[];
  readonly created_at: string;
  /** The first failed try since the last success. */
  readonly failing_since: string | null;
  /** Since when nothing is sent to it; null while it is enabled. */
  readonly disabled_at: string | null;
  readonly disabled_reason: string | null;
}

export interface WebhookWithSecret extends Webhook {
  /** Verifies what is sent (Standard Webhooks). Shown only here: keep it. */
  readonly secret: string;
}

export interface CreateWebhook {
  /** https, and a public address. */
  readonly url: string;
  readonly description?: string;
  /** Default: all. */
  readonly event_types?: readonly WebhookEventType[];
}

/** What is left out stays as it is. */
export interface UpdateWebhook {
  readonly url?: string;
  readonly description?: string;
  readonly event_types?: readonly WebhookEventType[];
  /** False enables it again and forgets its failures. */
  readonly disabled?: boolean;
}

export interface WebhookList {
  readonly data: readonly Webhook[];
}

export type DeliveryStatus = 'pending' | 'delivered' | 'failed';

/** One event for one receiver. */
export interface Delivery {
  /** The `webhook-id` of every try. */
  readonly id: string;
  readonly channel: 'webhook' | 'redis';
  /** `video.completed`, …, `webhook.test`. */
  readonly type: string;
  /** Null for a test. */
  readonly video_id: string | null;
  /** Null for the `webhook_url` of a video, and for Redis. */
  readonly webhook_id: string | null;
  /** Null for Redis. */
  readonly url: string | null;
  readonly status: DeliveryStatus;
  readonly created_at: string;
  /** Null once it has ended. */
  readonly next_try_at: string | null;
  readonly delivered_at: string | null;
  /** Oldest first. */
  readonly tries: readonly DeliveryTry[];
}

export interface DeliveryTry {
  readonly started_at: string;
  readonly duration_ms: number;
  /** HTTP status; null without an answer. */
  readonly status: number | null;
  /** Null where it arrived. */
  readonly error: string | null;
}

export interface DeliveryPage {
  readonly data: readonly Delivery[];
  readonly next_cursor: string | null;
}

/** What was being done: creating a task at Kling, copying a paid file, telling of an event. */
export type DeadLetterKind = 'submit' | 'archive' | 'notify';

/** Work that failed again and again, or was given up. */
export interface DeadLetter {
  readonly kind: DeadLetterKind;
  /** Of the attempt, the file or the delivery. */
  readonly id: string;
  /** Null for a test of a webhook. */
  readonly video_id: string | null;
  readonly reason: string | null;
  /** How often its handler crashed. */
  readonly crashes: number;
  readonly dead_at: string;
  readonly video_status: VideoStatus | null;
  readonly replayable: boolean;
  /** What a replay does, or what to do instead. */
  readonly replay_hint: string;
}

export interface DeadLetterPage {
  /** Newest first. */
  readonly data: readonly DeadLetter[];
  readonly next_cursor: string | null;
}

export interface ModelList {
  readonly data: readonly Model[];
}

/** One model, what it accepts and what it costs. */
export interface Model {
  readonly id: string;
  readonly title: string;
  readonly product: string;
  readonly aliases: readonly string[];
  /** Whether a request without `model` gets this one. */
  readonly default: boolean;
  /** Whether this server sends it with the credentials that it has. */
  readonly available: boolean;
  /** Whether Kling was seen to refuse it as discontinued. */
  readonly retired: boolean;
  readonly successor: string | null;
  readonly modes: readonly ModelMode[];
  readonly durations: readonly number[];
  readonly duration_default: number;
  readonly aspect_ratios: readonly string[];
  readonly frames_per_second: number;
  readonly prompt_characters_max: number;
  readonly negative_prompt: boolean;
  readonly cfg_scale: boolean;
  readonly multi_shot: readonly string[];
  readonly camera_control: { readonly mode: string; readonly duration: number } | null;
  /** Every combination that can be made. */
  readonly prices: readonly ModelPrice[];
}

export interface ModelMode {
  /** Null for a model with a single mode. */
  readonly mode: string | null;
  readonly resolution: string;
  /** Which values of `sound` it takes. */
  readonly sound: readonly boolean[];
}

export interface ModelPrice {
  readonly mode: string | null;
  readonly sound: boolean;
  readonly duration: number;
  readonly credits: number;
  readonly cost: Cost;
}
