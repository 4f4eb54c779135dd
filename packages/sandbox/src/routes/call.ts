import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AccountSettings } from '../accounts.ts';
import type { CallKind, CallRecord } from '../engine/events.ts';
import { jsonType } from '../wire/envelope.ts';

/** What is noted about one client call while it is handled. */
export interface Call {
  account: AccountSettings | undefined;
  code: number | undefined;
  externalId: string | undefined;
  taskId: string | undefined;
  refused: string | undefined;
  fault: string | undefined;
  /** Writes the call down, once; before the first byte of the answer, so that a client never sees counters that lag. */
  finish(http: number): void;
}

declare module 'fastify' {
  interface FastifyRequest {
    call: Call;
  }
  interface FastifyContextConfig {
    kind?: CallKind;
  }
}

export function createCall(finish: (http: number) => void): Call {
  let isFinished = false;
  return {
    account: undefined,
    code: undefined,
    externalId: undefined,
    taskId: undefined,
    refused: undefined,
    fault: undefined,
    finish: (http) => {
      if (!isFinished) finish(http);
      isFinished = true;
    },
  };
}

/** The caller. @throws Error on a route that the auth hook does not guard: a mistake in the wiring */
export function accountOf(request: FastifyRequest): AccountSettings {
  if (!request.call.account) throw new Error(`${request.url} is not guarded`);
  return request.call.account;
}

/** Answers with JSON text that is already whole. */
export function sendJson(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).header('content-type', jsonType).serializer(String).send(text);
}

/** Cuts the connection without an answer. */
export function cut(reply: FastifyReply): void {
  reply.hijack();
  reply.request.call.finish(0);
  reply.raw.destroy();
}

/** The line for the call log. Signatures in file URLs stay out of it. */
export function toRecord(request: FastifyRequest, http: number, at: number): CallRecord {
  const { account, code, externalId, taskId, refused, fault } = request.call;
  return {
    at,
    kind: request.routeOptions.config.kind ?? 'unknown',
    method: request.method,
    path: request.url.startsWith('/bs2/') ? (request.url.split('?')[0] ?? '') : request.url,
    http,
    ...(code === undefined ? {} : { code }),
    ...(account ? { account: account.id } : {}),
    ...(externalId === undefined ? {} : { external_id: externalId }),
    ...(taskId === undefined ? {} : { task_id: taskId }),
    ...(refused === undefined ? {} : { refused }),
    ...(fault === undefined ? {} : { fault }),
  };
}
