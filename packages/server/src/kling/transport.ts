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
    send: (request) =>
      exchange(agent, request, Math.max(0, request.deadlineMs - clock.monotonicMs()), answerSizeBytesMax),
    close: () => agent.close(),
  };
}

function exchange(agent: Agent, request: TransportRequest, budgetMs: number, sizeBytesMax: number): Promise<Exchange> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined;
    let stopped: string | undefined;
    let settled = false;
    const head = { httpStatus: 0, date: null as string | null, retryAfter: null as string | null };
    const chunks: Buffer[] = [];
    let sizeBytes = 0;

    const settle = (outcome: Exchange): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      request.signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    const broken = (message: string): void => settle({ kind: 'broken', neverSent: controller === undefined, message });
    const stop = (message: string): void => {
      stopped ??= message;
      broken(stopped);
      controller?.abort(new Error(stopped));
    };
    const onAbort = (): void => stop('the call was stopped');
    const timer = setTimeout(() => stop(`no complete answer within ${Math.round(budgetMs)} ms`), budgetMs);
    if (request.signal.aborted) return onAbort();
    request.signal.addEventListener('abort', onAbort, { once: true });

    const handler: Dispatcher.DispatchHandler = {
      // The last moment before bytes are written; undici gives the request up when this throws.
      onRequestStart(started) {
        if (stopped !== undefined) throw new Error(stopped);
        if (controller) throw new Error('a request is never written twice');
        controller = started;
      },
      onResponseStart(_controller, httpStatus, headers) {
        head.httpStatus = httpStatus;
        head.date = text(headers['date']);
        head.retryAfter = text(headers['retry-after']);
      },
      onResponseData(_controller, chunk) {
        sizeBytes += chunk.length;
        if (sizeBytes > sizeBytesMax) stop(`the answer is larger than ${sizeBytesMax} bytes`);
        else chunks.push(chunk);
      },
      onResponseEnd: () => settle({ kind: 'answered', ...head, body: Buffer.concat(chunks).toString('utf8') }),
      onResponseError: (_controller, error) => broken(describe(error)),
    };
    const { host: origin, method, path, headers, body } = request;
    try {
      agent.dispatch({ origin, method, path, headers: { ...headers }, body, idempotent: false }, handler);
    } catch (error) {
      broken(describe(error));
    }
  });
}

function text(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}

/** Only the kind of the error: texts of the network stack may carry what was sent. */
function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return `the connection failed (${code})`;
}
