import { z } from 'zod';
import { plainMessage } from './plain-message.ts';
import type { Exchange } from './transport.ts';

/** What came back, read as Kling's envelope where it is one. */
export interface Answer {
  /** Null when no complete answer came. */
  readonly httpStatus: number | null;
  /** Null when the body is no Kling envelope. */
  readonly code: number | null;
  /** Kling's message, or what happened instead; safe to show and to log. */
  readonly message: string;
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;
  /** Kling's clock (`Date` header, whole seconds) in Unix milliseconds. */
  readonly serverTimeMs: number | null;
  /** True when it is certain that the request never left. */
  readonly neverSent: boolean;
  /** The envelope's `data`. */
  readonly data: unknown;
}

const envelope = z.object({
  code: z.union([
    z.int(),
    z
      .string()
      .regex(/^\d{1,6}$/)
      .transform(Number),
  ]),
  message: z.string().nullish().catch(null),
  request_id: z.string().nullish().catch(null),
  data: z.unknown().optional(),
});

/** @param secrets texts that must not survive in the message, whatever Kling echoes */
export function readAnswer(exchange: Exchange, nowMs: number, secrets: readonly string[]): Answer {
  const nothing = {
    code: null,
    requestId: null,
    retryAfterMs: null,
    serverTimeMs: null,
    neverSent: false,
    data: undefined,
  };
  if (exchange.kind === 'broken') {
    return { ...nothing, httpStatus: null, message: exchange.message, neverSent: exchange.neverSent };
  }
  const headers = {
    httpStatus: exchange.httpStatus,
    retryAfterMs: readRetryAfter(exchange.retryAfter, nowMs),
    serverTimeMs: readDate(exchange.date),
  };
  const parsed = envelope.safeParse(parseJson(exchange.body));
  if (!parsed.success) {
    return { ...nothing, ...headers, message: `HTTP ${exchange.httpStatus} without Kling's answer format` };
  }
  const { code, message, request_id: requestId, data } = parsed.data;
  return {
    ...nothing,
    ...headers,
    code,
    message: plainMessage(message ?? '', secrets),
    requestId: requestId ? plainMessage(requestId, secrets) : null,
    data,
  };
}

/** The data of a success; undefined when Kling did not say that it succeeded. */
export function succeededData(answer: Answer): unknown {
  return answer.httpStatus === 200 && answer.code === 0 ? answer.data : undefined;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function readDate(date: string | null): number | null {
  const time = date === null ? Number.NaN : Date.parse(date);
  return Number.isNaN(time) ? null : time;
}

/** Seconds or an HTTP date; anything else is ignored. */
function readRetryAfter(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value.trim()) * 1000;
  const until = readDate(value);
  return until === null ? null : Math.max(0, until - nowMs);
}
