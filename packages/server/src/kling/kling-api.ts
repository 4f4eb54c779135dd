/**
 * The port to Kling: five calls, two adapters (`legacy`, `standard`). Called by videos/ and worker/ only. It never
 * decides what an answer means for a video, never repeats a create, and never lets a secret or a result URL into a log
 * or an error. "Kling" is the real provider or the sandbox; nothing here can tell them apart.
 */
import type { Generation } from '../catalog/request.ts';
import type { Secret } from '../kernel/secret.ts';

/** One Kling account with any of its credentials; an API key and an AK/SK pair of one account are one account. */
export interface KlingAccount {
  /** Operator-given id; never a secret. */
  readonly id: string;
  /** Origin such as `https://api-singapore.klingai.com` (kling-api.md 1.1). */
  readonly host: string;
  readonly apiKey: Secret | null;
  readonly accessKey: Secret | null;
  readonly secretKey: Secret | null;
}

/** Where one attempt goes, pinned in its row: a repeat and every look-up use exactly these (docs/guarantees.md). */
export interface PinnedCall {
  readonly accountId: string;
  readonly host: string;
  readonly generation: Generation;
  /** `/v1/videos/text2video`, `/text-to-video/kling-2.6`. */
  readonly path: string;
  /** The JSON body as it is sent, external task id and callback URL included. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A task that we may have at Kling. */
export interface TaskReference {
  readonly accountId: string;
  readonly host: string;
  readonly generation: Generation;
  readonly path: string;
  readonly externalTaskId: string;
  /** Kling's id; null while it is in doubt whether the task exists. */
  readonly taskId: string | null;
}

/** What Kling said about one task, both generations in one shape. */
export interface TaskReport {
  readonly taskId: string;
  readonly externalTaskId: string | null;
  /** `unknown` is a word that we do not know: an error to look at, never "still running" (kling-api.md 3). */
  readonly status: 'submitted' | 'processing' | 'succeeded' | 'failed' | 'unknown';
  /** The word as Kling wrote it. */
  readonly statusWord: string;
  /** Kling's reason when it failed; '' otherwise. */
  readonly message: string;
  /** Unix milliseconds of Kling's clock. */
  readonly createdAtMs: number | null;
  readonly updatedAtMs: number | null;
  readonly video: ReportedVideo | null;
  /** Exact decimal string in Kling units that Kling says it deducted; null when it did not say. */
  readonly deductedUnits: string | null;
}

export interface ReportedVideo {
  readonly id: string | null;
  /** Provider URL: stays inside the platform (invariant 6). */
  readonly url: string;
  /** Seconds as Kling reports them, e.g. "5.041". */
  readonly duration: string | null;
  /** Unix milliseconds after which the URL stops working, read from its signature; null when it carries none. */
  readonly expiresAtMs: number | null;
}

/** Why Kling did not do what was asked, in Kling's own numbers and words. */
export interface ProviderFailure {
  /** HTTP status; null when no answer came. */
  readonly httpStatus: number | null;
  /** Kling's service code (kling-api.md 1.4); null when the answer was no Kling envelope. */
  readonly code: number | null;
  /** Kling's message, or what happened to the connection. No secrets, no URLs with signatures. */
  readonly message: string;
  readonly requestId: string | null;
  /** From Retry-After, when given. */
  readonly retryAfterMs: number | null;
  /**
   * True when it is certain that no byte of the request left (name not resolved, connection refused, stopped before it
   * was written): with `doubt` there is then nothing to look up and no settle window to wait for.
   */
  readonly neverSent: boolean;
  /**
   * What it does to attempt, video, pool and account: a row of the reaction table (docs/guarantees.md).
   * @see reactions.ts
   */
  readonly reaction: Reaction;
}

/**
 * - `pause_account`, `pause_pool`: certainly not created; the video goes back to the queue, the account or pool waits for a mend
 * - `slow_account`: 1302; the attempt keeps its slot and is sent again after the account's `not_before`
 * - `back_off_pool`: 1303; certainly not created, the video keeps its place
 * - `fail_video`: certainly not created and never will be
 * - `already_exists`: a task with this external id exists: look it up, never send again, never fail
 * - `doubt`: it may exist: look it up before anything else
 */
export type Reaction =
  | 'pause_account'
  | 'pause_pool'
  | 'slow_account'
  | 'back_off_pool'
  | 'fail_video'
  | 'already_exists'
  | 'doubt';

export type CreateAnswer =
  | { readonly kind: 'accepted'; readonly taskId: string; readonly requestId: string | null }
  | { readonly kind: 'failed'; readonly failure: ProviderFailure };

/**
 * The answer to a look-up of one task.
 * - `not_found` only what certainly means it: 200/0 without the id (standard), 400/1201 "Task not found…" (legacy)
 * - `unknown`: everything else; nothing was learned
 */
export type LookAnswer =
  | { readonly kind: 'found'; readonly report: TaskReport }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'unknown'; readonly failure: ProviderFailure };

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Whole call, connection included. */
  readonly timeoutMs: number;
}

/** What a callback says; a hint, never a fact (invariant 5). */
export interface CallbackHint {
  readonly taskId: string | null;
  readonly externalTaskId: string | null;
  /** True for `succeed`, `succeeded`, `failed` and for words we do not know; false for submitted and processing. */
  readonly final: boolean;
}

/** A resource pack as `/account/costs` shows it (kling-api.md 5.4). */
export interface ResourcePack {
  readonly name: string;
  readonly status: string;
  /** From `<N>Con` in the name (kling-api.md 5.2); null when the name does not say. */
  readonly concurrency: number | null;
  readonly type: 'video' | 'image' | 'unknown';
  readonly remaining: number | null;
}

export interface KlingApi {
  /**
   * Sends one create, once. Only 1003/1004 is answered by re-signing and one more send, because Kling certainly refused the first.
   * Never throws for what Kling or the network does: that is the answer.
   * @throws AccountNotConfiguredError (as all calls do) when the account, or the credential that the generation needs, is not configured
   */
  createTask(call: PinnedCall, options: CallOptions): Promise<CreateAnswer>;
  /**
   * Asks for tasks of one account, in as few calls as the generation allows (20 ids, or a list page of up to 500). One
   * answer per reference, in their order. Ids missing from a list page are asked singly. Tasks that need a credential
   * which the account no longer has are `unknown`.
   */
  getTasks(references: readonly TaskReference[], options: CallOptions): Promise<readonly LookAnswer[]>;
  /**
   * Walks all video tasks of an account that Kling created in a time span; Kling promises no order. `timeoutMs` bounds
   * each page. For the audit and for counting foreign tasks, so it is complete or throws.
   * @throws AppError `unavailable` when Kling does not show a page
   */
  listTasks(
    accountId: string,
    span: { readonly fromMs: number; readonly toMs: number },
    options: CallOptions,
  ): AsyncIterable<TaskReport>;
  /** `/account/costs` of the last 30 days. @throws AppError `unavailable` when Kling does not answer it */
  listPacks(accountId: string, options: CallOptions): Promise<readonly ResourcePack[]>;
  /** Reads a callback body of either generation. Undefined when it is neither. */
  parseCallback(body: unknown): CallbackHint | undefined;
  close(): Promise<void>;
}
