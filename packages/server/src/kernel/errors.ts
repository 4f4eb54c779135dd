/** What an error means to whoever caused it; the HTTP edge turns a kind into a status, and nothing else does. */
export type ErrorKind =
  | 'input'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method'
  | 'conflict'
  | 'gone'
  | 'budget'
  | 'too_large'
  | 'media_type'
  | 'range'
  | 'rate'
  | 'unavailable'
  | 'provider'
  | 'internal';

interface CatalogueRow {
  readonly kind: ErrorKind;
  /** Short, constant, human: the `title` of a problem document. */
  readonly title: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** What to do about it, one or two sentences: shown in docs/errors.md. */
  readonly help: string;
}

/**
 * The one error catalogue: every stable `code` that leaves the platform, in HTTP problems and in a video's `error`.
 * docs/errors.md is generated from it.
 */
export const errorCatalogue = {
  // requests
  invalid_request: row(
    'input',
    'The request is not valid',
    false,
    'Every mistake is listed under `errors` with a JSON pointer; correct them and send it again.',
  ),
  malformed_json: row(
    'input',
    'The body is not JSON',
    false,
    'Send a JSON object; the detail names where reading stopped.',
  ),
  unsupported_product: row(
    'input',
    'This product is not available yet',
    false,
    'Only the products listed by GET /api/models can be made; leave out the fields of the others.',
  ),
  body_too_large: row('too_large', 'The body is too large', false, 'The detail names the limit in bytes.'),
  unsupported_media_type: row(
    'media_type',
    'The content type is not supported',
    false,
    'Send `Content-Type: application/json`.',
  ),
  unauthenticated: row(
    'unauthenticated',
    'No valid API key was given',
    false,
    'Send `Authorization: Bearer <key>`; the local key of an embedded server is in `.dailies/api-key`.',
  ),
  not_found: row(
    'not_found',
    'There is no such thing',
    false,
    'Check the id; things of another workspace look the same as things that do not exist.',
  ),
  method_not_allowed: row(
    'method',
    'This address does not take that method',
    false,
    'The `Allow` header names the methods it takes; see /docs for every route.',
  ),
  idempotency_key_reused: row(
    'conflict',
    'The idempotency key was used with another body',
    false,
    'Use a new Idempotency-Key for a new request, or send exactly the first body again.',
  ),
  state_conflict: row(
    'conflict',
    'The video is in a state that forbids this',
    false,
    'The detail names the state and what is possible in it.',
  ),
  content_deleted: row(
    'gone',
    'The content was deleted',
    false,
    'The receipt and the ledger stay; the file is gone for good.',
  ),
  content_not_ready: row(
    'conflict',
    'The video has no file yet',
    true,
    'Wait until `status` is `completed`; follow `links.events`.',
  ),
  link_invalid: row(
    'forbidden',
    'The link is not valid or has expired',
    false,
    'Get the video again: every answer carries a fresh link.',
  ),
  range_not_satisfiable: row(
    'range',
    'The range is outside the file',
    false,
    'Ask for a range inside the `Content-Range` length that the answer names.',
  ),
  too_many_webhooks: row(
    'conflict',
    'The workspace has as many webhook endpoints as it may have',
    false,
    'Remove one that is not needed; the detail names the limit.',
  ),
  delivery_conflict: row(
    'conflict',
    'The delivery cannot be sent now',
    false,
    'Wait until a pending delivery has ended; enable a disabled webhook with `PATCH /api/webhooks/{id}` first.',
  ),
  dead_letter_conflict: row(
    'conflict',
    'The dead letter cannot be replayed',
    false,
    'The detail names what to do instead. `DELETE /api/dead-letters/{kind}/{id}` dismisses one that needs nothing more.',
  ),
  over_budget: row(
    'budget',
    'The budget does not allow this video',
    false,
    'Raise the limit with `PUT /api/budget` or `dailies budget set`, or wait until holds are released.',
  ),
  rate_limited: row(
    'rate',
    'Too many requests',
    true,
    'Answered by the gateway: go on after the time in Retry-After. Nothing was done.',
  ),
  answer_lost: row(
    'provider',
    'The answer was lost',
    false,
    'Answered by the gateway when a replica died with a request that has no Idempotency-Key: whether it was carried out is not known. Look before you repeat it; with a key the gateway repeats it itself.',
  ),
  unavailable: row(
    'unavailable',
    'The service cannot keep its promise right now',
    true,
    'Try again after the time in Retry-After.',
  ),
  database_unavailable: row(
    'unavailable',
    'The database cannot be reached right now',
    true,
    'Try again after the time in Retry-After. Repeat a create with its Idempotency-Key: it then makes one video, whatever became of the first try.',
  ),
  storage_unavailable: row(
    'unavailable',
    'The storage of files cannot be reached right now',
    true,
    'Try again after the time in Retry-After. Everything but the files themselves goes on meanwhile.',
  ),
  internal: row(
    'internal',
    'Something went wrong on our side',
    true,
    'Nothing was stored or spent unless the answer said so; quote the request id when you report it.',
  ),

  // why a video ended without a file
  provider_rejected: row(
    'provider',
    'Kling refused the request',
    false,
    'Read `message`; change the request and send it again.',
  ),
  content_policy: row(
    'provider',
    'Kling refused the content',
    false,
    'Change the prompt; the same content will be refused again.',
  ),
  generation_failed: row(
    'provider',
    'Kling could not make the video',
    true,
    'Kling charges nothing for a failed task; retry makes a new video at the current price.',
  ),
  model_unavailable: row(
    'provider',
    'Kling no longer offers this model',
    false,
    'Choose the successor that the warning or GET /api/models names.',
  ),
  provider_lost: row(
    'provider',
    'Kling never ended the task',
    true,
    'The hold was released. Should the video appear later, it is charged and kept for you.',
  ),
  archive_expired: row(
    'provider',
    'The file could not be copied before Kling deleted it',
    false,
    'Kling keeps a file for 30 days; it charged for it, so the charge stands. See the event log for the cause.',
  ),
  file_unusable: row(
    'provider',
    'Kling reported success without a usable file',
    false,
    'Kling charged for it, so the charge stands; report the provider request id to Kling.',
  ),
  start_before_passed: row(
    'provider',
    'The video could not start in time',
    true,
    'Nothing was sent or charged; ask again with a later `start_before`.',
  ),
  submit_dead_letter: row(
    'internal',
    'The video could not be submitted',
    true,
    'Nothing was sent or charged; the dead letter names the cause.',
  ),
} as const satisfies Record<string, CatalogueRow>;

export type ErrorCode = keyof typeof errorCatalogue;

function row(kind: ErrorKind, title: string, retryable: boolean, help: string): CatalogueRow {
  return { kind, title, retryable, help };
}

/**
 * One mistake in a request. `pointer` is an RFC 6901 JSON pointer into the body ('' is the whole of it), or `?name` of the query,
 * `header:Name`, `path` or `method`.
 */
export interface Mistake {
  readonly pointer: string;
  /** Names the field, the rule and the fix. */
  readonly detail: string;
}

/** Facts beside the message that callers may show: never secrets, never provider URLs. */
export interface ErrorData {
  readonly errors?: readonly Mistake[];
  readonly [extension: string]: unknown;
}

/** An expected failure with a stable code. Anything else that is thrown is a bug and answered as `internal`. */
export class AppError extends Error {
  override readonly name: string = 'AppError';
  readonly code: ErrorCode;
  readonly data: ErrorData;

  /** @param message safe, complete text for the person who caused it */
  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  get kind(): ErrorKind {
    return errorCatalogue[this.code].kind;
  }

  get retryable(): boolean {
    return errorCatalogue[this.code].retryable;
  }
}

/** Bad input: all mistakes at once. */
export class InputError extends AppError {
  override readonly name = 'InputError';

  constructor(mistakes: readonly Mistake[], code: 'invalid_request' | 'unsupported_product' = 'invalid_request') {
    super(code, mistakes.map((mistake) => mistake.detail).join(' '), { data: { errors: mistakes } });
  }
}

/** The same answer for what does not exist and for what the caller may not see (invariant 7). */
export class NotFoundError extends AppError {
  override readonly name = 'NotFoundError';

  constructor(what: string, id: string) {
    super('not_found', `There is no ${what} ${JSON.stringify(id)}.`);
  }
}

/** Makes an Error of whatever was thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
