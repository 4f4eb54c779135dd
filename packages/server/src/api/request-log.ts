import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createId } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the error handler answered; the cause only where it is our fault. */
    failure: { readonly code: string; readonly cause: unknown } | null;
    /** The video that the request is about, for the log. */
    videoId: string | null;
  }
}

/** The caller's `X-Request-Id` when it is short and harmless in logs and headers, else a new id. */
export function createRequestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : createId('request');
}

/** One answer, for counting. */
export interface AnsweredRequest {
  readonly method: string;
  /** The template, never what was asked for; null for what no route answers. */
  readonly route: string | null;
  readonly status: number;
  readonly seconds: number;
  readonly isStream: boolean;
}

/** Echoes the request id and writes one wide event per request. Query strings stay out: they may carry signatures. */
export function logRequests(app: FastifyInstance, { log, onAnswer }: Pick<ApiDeps, 'log' | 'onAnswer'>): void {
  app.decorateRequest('failure', null);
  app.decorateRequest('videoId', null);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    // Fastify tells of answers that were sent whole; this, of those whose reader went away.
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished) return;
      write(log, request, reply, { aborted: true });
      onAnswer?.(answeredRequest(request, reply));
    });
  });
  app.addHook('onResponse', async (request, reply) => {
    write(log, request, reply, {});
    onAnswer?.(answeredRequest(request, reply));
  });
}

function answeredRequest(request: FastifyRequest, reply: FastifyReply): AnsweredRequest {
  return {
    method: request.method,
    route: request.routeOptions.url ?? null,
    status: reply.statusCode,
    seconds: reply.elapsedTime / 1_000,
    isStream: String(reply.getHeader('content-type')).startsWith('text/event-stream'),
  };
}

function write(log: ApiDeps['log'], request: FastifyRequest, reply: FastifyReply, more: { aborted?: true }): void {
  const cause = request.failure?.cause;
  const event = {
    requestId: request.id,
    method: request.method,
    route: request.routeOptions.url ?? null,
    status: reply.statusCode,
    durationMs: Math.round(reply.elapsedTime * 10) / 10,
    workspaceId: request.principal?.workspaceId ?? null,
    keyId: request.principal?.keyId ?? null,
    videoId: request.videoId,
    code: request.failure?.code ?? null,
    ...(cause === undefined ? {} : { err: cause }),
    ...more,
  };
  if (reply.statusCode >= 500) log.error(event, 'request');
  else log.info(event, 'request');
}
