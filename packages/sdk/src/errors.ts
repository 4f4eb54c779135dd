/** One mistake in a request. */
export interface Mistake {
  /** RFC 6901 JSON pointer into the body, `?name` of the query, `header:Name`, `path` or `method`. */
  readonly pointer: string;
  readonly detail: string;
}

export interface DailiesErrorFacts {
  readonly code: string;
  readonly status?: number | null;
  readonly requestId?: string | null;
  readonly errors?: readonly Mistake[];
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | null;
  readonly problem?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Every failure of a call, except that an abort by the caller rejects with the caller's own reason. */
export class DailiesError extends Error {
  override readonly name: string = 'DailiesError';
  /** Stable; every code is explained in the server's error catalogue. `http_<status>` when the answer was not ours. */
  readonly code: string;
  /** Null when no answer came. */
  readonly status: number | null;
  /** Quote it when reporting a fault. */
  readonly requestId: string | null;
  /** Every mistake of a refused request; empty otherwise. */
  readonly errors: readonly Mistake[];
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** What the server asked to wait; null when it did not say. */
  readonly retryAfterMs: number | null;
  /** The whole problem document, with extensions such as the credits that are needed. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(message: string, facts: DailiesErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.status = facts.status ?? null;
    this.requestId = facts.requestId ?? null;
    this.errors = facts.errors ?? [];
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs ?? null;
    this.problem = facts.problem ?? {};
  }
}

/** No connection, or it broke before the answer was complete. Whether the server acted is unknown. */
export class ConnectionError extends DailiesError {
  override readonly name = 'ConnectionError';

  constructor(message: string, cause: unknown) {
    super(message, { code: 'connection_failed', retryable: true, cause });
  }
}

/** No complete answer within the time-out. Whether the server acted is unknown. */
export class TimeoutError extends DailiesError {
  override readonly name = 'TimeoutError';

  constructor(message: string, cause?: unknown) {
    super(message, { code: 'timeout', retryable: true, cause });
  }
}
