/**
 * What the HTTP edge and other callers may do with videos. Each function is one decision in one transaction; none of
 * them calls Kling. Everything is seen through a workspace: a video of another workspace does not exist (invariant 7).
 */
import type { VideoRequest, Warning } from '../catalog/request.ts';
import type { FileState, Provider, StoredVideoError, VideoState } from '../db/tables.ts';
import type { Credits } from '../kernel/money.ts';

export interface VideoRecord {
  readonly id: string;
  readonly workspaceId: string;
  readonly state: VideoState;
  readonly provider: Provider;
  readonly request: VideoRequest;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly warnings: readonly Warning[];
  readonly estimatedCredits: Credits;
  readonly priceBasis: string;
  /** Null while undecided. */
  readonly chargedCredits: Credits | null;
  readonly error: StoredVideoError | null;
  readonly retryOf: string | null;
  readonly acceptedAt: Date;
  /** When it first got a slot. */
  readonly startedAt: Date | null;
  /** When it reached its final state. */
  readonly completedAt: Date | null;
  /** When its owner deleted the file; the video itself stays readable. */
  readonly deletedAt: Date | null;
  readonly startBefore: Date | null;
  readonly webhookUrl: string | null;
  /** Last event's number; the `Last-Event-ID` after which a reader has seen this record. */
  readonly eventSeq: number;
  readonly file: VideoFile | null;
  /** Null once it has left the queue for good. */
  readonly queue: QueueEstimate | null;
}

export interface VideoFile {
  readonly id: string;
  readonly state: FileState;
  readonly storageKey: string;
  readonly bytes: number | null;
  readonly seconds: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly sha256: string | null;
  readonly etag: string | null;
  readonly posterKey: string | null;
  /** Why the copy of a paid file waits; null when nothing went wrong so far, or no more. */
  readonly delay: string | null;
}

export interface QueueEstimate {
  /** From 1; exact up to 1,000, above that null ("1000+"); 0 when it already holds a slot. */
  readonly position: number | null;
  readonly startsAt: Date | null;
  readonly endsAt: Date | null;
}

export interface Estimate {
  readonly request: VideoRequest;
  readonly credits: Credits;
  readonly priceBasis: string;
  readonly warnings: readonly Warning[];
  readonly queue: QueueEstimate;
  /** Credits left under the limit; null without a limit. */
  readonly available: Credits | null;
}

export interface CreateOptions {
  readonly workspaceId: string;
  readonly idempotencyKey: string | null;
  /** Renders the 202 body; it is stored with the idempotency key in the create's transaction and replayed as it was. */
  readonly render: (video: VideoRecord) => unknown;
}

export interface Created {
  readonly videoId: string;
  /** What `render` made now, or what it made the first time. */
  readonly answer: unknown;
  readonly replayed: boolean;
}

export interface VideoFilter {
  readonly states: readonly VideoState[] | null;
  /** Canonical id or alias. */
  readonly model: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** 1 to 100. */
  readonly limit: number;
  /** Opaque, from an earlier page. */
  readonly cursor: string | null;
}

export interface VideoPage {
  /** Newest first. */
  readonly videos: readonly VideoRecord[];
  readonly nextCursor: string | null;
}

export interface ReceiptEntry {
  readonly kind: 'hold' | 'capture' | 'release';
  readonly amount: Credits;
  readonly reason: string;
  /** True when Kling did not echo an amount and the hold was taken instead. */
  readonly assumed: boolean;
  readonly at: Date;
}

export interface Receipt {
  readonly videoId: string;
  readonly priceBasis: string;
  readonly estimated: Credits;
  /** Undecided money; zero at the end. */
  readonly held: Credits;
  readonly captured: Credits;
  readonly released: Credits;
  /** Oldest first. */
  readonly entries: readonly ReceiptEntry[];
  /** Every task that was bought or tried for this video. */
  readonly attempts: readonly {
    readonly number: number;
    readonly state: string;
    readonly providerTaskId: string | null;
    readonly deducted: Credits | null;
    readonly startedAt: Date;
    readonly endedAt: Date | null;
  }[];
}

export interface VideoEvent {
  /** Per video, from 1, without gaps: the SSE id of a video's own stream. */
  readonly seq: number;
  readonly videoId: string;
  /** `video.queued`, `video.submitting`, … one per state, `video.archive_delayed`, `video.file_stored`, `video.charged`, `video.deleted`. */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly at: Date;
  /** Opaque cursor of the workspace stream: the SSE id there. */
  readonly cursor: string;
}

export interface Videos {
  /** @throws InputError, AppError `over_budget` | `idempotency_key_reused` */
  create(body: unknown, options: CreateOptions): Promise<Created>;
  /** Validates and prices like `create`; nothing is stored or held. @throws InputError */
  estimate(body: unknown, workspaceId: string): Promise<Estimate>;
  /** @throws NotFoundError */
  get(id: string, workspaceId: string): Promise<VideoRecord>;
  list(filter: VideoFilter, workspaceId: string): Promise<VideoPage>;
  /** @throws NotFoundError, AppError `state_conflict` in archiving and final states */
  cancel(id: string, workspaceId: string): Promise<VideoRecord>;
  /** Makes a new video from a final one, priced again. @throws NotFoundError, AppError `state_conflict` | `over_budget` */
  retry(id: string, options: CreateOptions): Promise<Created>;
  /** Deletes the file and leaves a tombstone. Only on final videos. @throws NotFoundError, AppError `state_conflict` */
  delete(id: string, workspaceId: string): Promise<void>;
  /** @throws NotFoundError */
  receipt(id: string, workspaceId: string): Promise<Receipt>;
  /** Events of one video after `seq`, oldest first, at most 100. @throws NotFoundError */
  listEvents(id: string, workspaceId: string, afterSeq: number): Promise<readonly VideoEvent[]>;
  /** Events of a workspace after a cursor (null = from now: returns none and the cursor to go on from). */
  listWorkspaceEvents(
    workspaceId: string,
    cursor: string | null,
  ): Promise<{ readonly events: readonly VideoEvent[]; readonly cursor: string }>;
  /** Resolves when events may have been added (in this process at once, by others within `maxWaitMs`). Never rejects. */
  waitForEvents(maxWaitMs: number, signal: AbortSignal): Promise<void>;
}
