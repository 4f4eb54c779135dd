import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import type { Clock } from '../kernel/clock.ts';

/** One HTTP request. It is written to a socket at most once. */
export interface TransportRequest {
  /** Origin. */
  readonly host: string;
  readonly method: 'GET' | 'POST';
  /** Path with its query string. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
  /** On `Clock.monotonicMs`; covers everything from the connection to the last byte of the answer. */
  readonly deadlineMs: number;
}

/** Never a rejection: a broken connection is an outcome that the caller has to judge. */
export type Exchange =
  | {
      readonly kind: 'answered';
      readonly httpStatus: number;
      readonly date: string | null;
      readonly retryAfter: string | null;
      readonly body: string;
    }
  | {
      readonly kind: 'broken';
      /** True when it is certain that no byte of the request left this process. */
      readonly neverSent: boolean;
      readonly message: string;
    };

export interface Transport {
  send(request: TransportRequest): Promise<Exchange>;
  /** Waits for what is under way (bounded by its own deadlines), then closes the connections. */
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly connectionsMax?: number;
  readonly answerSizeBytesMax?: number;
}

/**
 * HTTP/1.1 with kept connections to Kling. No redirects (they would carry the key elsewhere), no compression, no
 * retries: HTTP/2 and pipelining stay off because there a client may send an unanswered request again.
 */
export function createTransport(clock: Clock, options: TransportOptions = {}): Transport {
  const { connectionsMax = 32, answerSizeBytesMax = 8 * 1024 * 1024 } = options;
  const agent = new Agent({
    connections: connectionsMax,
    pipelining: 1,
    allowH2: false,
    // Shorter than what servers keep, so that a request rarely meets a connection which the other side just closed.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 30_000,
    connect: { timeout: 10_000 },
    // The deadline of each request is the only clock.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    send: (request) => exchange(agent, clock, request, answerSizeBytesMax),
    close: () => agent.close(),
  };
}

function exchange(agent: Agent, clock: Clock, request: TransportRequest, sizeBytesMax: number): Promise<Exchange> {
  const { promise, resolve } = Promise.withResolvers<Exchange>();
  const { signal, deadlineMs } = request;
  const budgetMs = deadlineMs - clock.monotonicMs();
  const late = `no complete answer within ${Math.max(0, Math.round(budgetMs))} ms`;
  let controller: Dispatcher.DispatchController | undefined;
  let stopped: string | undefined;

  const settle = (outcome: Exchange): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    resolve(outcome);
  };
  const broken = (message: string): void => settle({ kind: 'broken', neverSent: controller === undefined, message });
  const stop = (message: string): void => {
    stopped ??= message;
    broken(stopped);
    controller?.abort(new Error(stopped));
  };
  const onAbort = (): void => stop('the call was stopped');
  const timer = setTimeout(() => stop(late), Math.max(0, budgetMs));
  signal.addEventListener('abort', onAbort, { once: true });

  const answer = collectAnswer(sizeBytesMax, stop);
  const handler: Dispatcher.DispatchHandler = {
    ...answer.handler,
    // The last moment before bytes are written; undici gives the request up when this throws. A process that was
    // frozen while it connected gets here before its timer fires, so the clock decides.
    onRequestStart(started) {
      if (clock.monotonicMs() >= deadlineMs) stopped ??= late;
      if (stopped !== undefined) throw new Error(stopped);
      if (controller) throw new Error('a request is never written twice');
      controller = started;
    },
    onResponseEnd: () => settle(answer.complete()),
    onResponseError: (_controller, error) => broken(stopped ?? describe(error)),
  };
  if (signal.aborted) onAbort();
  else if (budgetMs <= 0) stop(late);
  else dispatch(agent, request, handler, broken);
  return promise;
}

function dispatch(
  agent: Agent,
  { host: origin, method, path, headers, body }: TransportRequest,
  handler: Dispatcher.DispatchHandler,
  broken: (message: string) => void,
): void {
  try {
    agent.dispatch({ origin, method, path, headers: { ...headers }, body, idempotent: false }, handler);
  } catch (error) {
    broken(describe(error));
  }
}

function collectAnswer(sizeBytesMax: number, stop: (message: string) => void) {
  let httpStatus = 0;
  let headers: Dispatcher.ResponseData['headers'] = {};
  let sizeBytes = 0;
  const chunks: Buffer[] = [];
  const handler: Dispatcher.DispatchHandler = {
    onResponseStart(_controller, status, received) {
      httpStatus = status;
      headers = received;
    },
    onResponseData(_controller, chunk) {
      sizeBytes += chunk.length;
      if (sizeBytes > sizeBytesMax) stop(`the answer is larger than ${sizeBytesMax} bytes`);
      else chunks.push(chunk);
    },
  };
  const complete = (): Exchange => ({
    kind: 'answered',
    httpStatus,
    date: text(headers['date']),
    retryAfter: text(headers['retry-after']),
    body: Buffer.concat(chunks).toString('utf8'),
  });
  return { handler, complete };
}

function text(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}

/** Only the kind of the error: texts of the network stack may carry what was sent. */
function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return `the connection failed (${code})`;
}
