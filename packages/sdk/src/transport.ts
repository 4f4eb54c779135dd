import { ConnectionError, DailiesError, TimeoutError } from './errors.ts';
import { errorFromResponse, isRetryableStatus } from './problem.ts';
import { pause, waitBeforeRetryMs } from './retry.ts';

export interface TransportOptions {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly retryBaseMs: number;
  readonly userAgent: string | undefined;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From `path`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Whether a repetition does no harm although the first call may have been carried out. */
  readonly repeatable: boolean;
}

export interface Transport {
  /** The answer's JSON; `undefined` for an empty one. @throws DailiesError */
  json<Answer>(request: ApiRequest): Promise<Answer>;
  /** A successful answer with its body unread; the time-out covers the headers only. @throws DailiesError */
  open(request: ApiRequest): Promise<Response>;
}

/** One place for the key, time-outs, retries and errors of every call. */
export function createTransport(options: TransportOptions): Transport {
  const base = baseUrl(options.url);
  return {
    json: <Answer>(request: ApiRequest) =>
      withRetries(options, request, async () =>
        withTimeout(options, request, base, async (response) => parse<Answer>(await response.text(), response)),
      ),
    open: (request) =>
      withRetries(options, request, () => withTimeout(options, request, base, (response) => Promise.resolve(response))),
  };
}

async function withRetries<Result>(
  options: TransportOptions,
  request: ApiRequest,
  call: () => Promise<Result>,
): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof DailiesError) || tries > options.maxRetries || !mayRepeat(request, error)) throw error;
      const waitMs = waitBeforeRetryMs(tries, options.retryBaseMs, error.retryAfterMs);
      if (waitMs === null) throw error;
      await pause(waitMs, request.signal);
    }
  }
}

/** 429 was certainly not carried out; anything else may have been. */
function mayRepeat(request: ApiRequest, error: DailiesError): boolean {
  if (error.status === 429) return true;
  return request.repeatable && (error.status === null ? error.retryable : isRetryableStatus(error.status));
}

async function withTimeout<Result>(
  options: TransportOptions,
  request: ApiRequest,
  base: string,
  read: (response: Response) => Promise<Result>,
): Promise<Result> {
  const { signal } = request;
  signal?.throwIfAborted();
  const local = new AbortController();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    local.abort();
  }, options.timeoutMs);
  const target = new URL(base + request.path);
  try {
    const response = await options.fetch(withQuery(target, request.query), {
      method: request.method,
      headers: headers(options, request),
      signal: signal ? AbortSignal.any([signal, local.signal]) : local.signal,
      // The key must not follow a redirect that we did not ask for; only content is ever sent elsewhere.
      redirect: request.method === 'GET' ? 'follow' : 'error',
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    if (!response.ok) throw await errorFromResponse(response);
    return await read(response);
  } catch (error) {
    if (error instanceof DailiesError) throw error;
    signal?.throwIfAborted();
    const what = `${request.method} ${target.origin}${target.pathname}`;
    if (timedOut) throw new TimeoutError(`${what} was not answered within ${String(options.timeoutMs)} ms.`, error);
    throw new ConnectionError(`${what} failed: ${reason(error)}.`, error);
  } finally {
    clearTimeout(timer);
  }
}

function headers(options: TransportOptions, request: ApiRequest): Record<string, string> {
  return {
    accept: 'application/json',
    ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }),
    ...(options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }),
    ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...request.headers,
  };
}

function withQuery(target: URL, query: ApiRequest['query']): URL {
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) target.searchParams.append(name, String(value));
  }
  return target;
}

function parse<Answer>(text: string, response: Response): Answer {
  try {
    return (text === '' ? undefined : JSON.parse(text)) as Answer; // the server's contract, checked by a drift test
  } catch (cause) {
    const type = response.headers.get('content-type') ?? 'no content type';
    throw new DailiesError(`The answer is not JSON (${type}): this address is not a Dailies server.`, {
      code: 'invalid_answer',
      status: response.status,
      cause,
    });
  }
}

/** fetch hides the useful part ("ECONNREFUSED") in the cause. */
function reason(error: unknown): string {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (typeof code === 'string') return code;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

function baseUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new TypeError(`${JSON.stringify(url)} is not a URL; give one such as http://127.0.0.1:8000.`, { cause });
  }
  if (!['http:', 'https:'].includes(parsed.protocol) || parsed.username || parsed.password) {
    throw new TypeError('The address of Dailies must be http:// or https:// and carry no user name or password.');
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}
