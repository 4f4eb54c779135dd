import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastify from 'fastify';
import { pause } from '../clock.ts';
import type { SandboxEvent } from '../engine/events.ts';
import type { Faults } from '../faults/faults.ts';
import { throwRefusal } from '../faults/faults.ts';
import type { Authenticator } from '../wire/auth.ts';
import { GatewayFault, Refusal } from '../wire/codes.ts';
import { badGatewayPage, refusalBody, springNotFound } from '../wire/envelope.ts';
import { createCall, cut, sendJson, toRecord } from './call.ts';

export interface ServerParts {
  readonly authenticator: Authenticator;
  readonly faults: Faults;
  readonly signal: AbortSignal;
  nowMs(): number;
  record(event: SandboxEvent): void;
  log(line: object): void;
}

const bodyBytesMax = 64 * 1024 * 1024;

/** Paths that exist: on them a wrong method is Kling's 1202, anywhere else the gateway's 404. */
const knownPaths =
  /^\/(?:v1\/videos\/text2video(?:\/[^/]+)?|text-to-video\/[^/]+|tasks|account\/(?:costs|billing\/package|billing\/balance))$/;

/**
 * The HTTP frame around the routes: credentials first, then path and method, then the body, errors in the right envelope,
 * and one call record per request, written before its answer leaves.
 */
export function createServer(parts: ServerParts): FastifyInstance {
  const { authenticator, nowMs, record, log } = parts;
  const app = fastify({
    bodyLimit: bodyBytesMax,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1_000 },
  });
  // Bodies are read after the credentials were checked and judged in Kling's words, whatever type they claim to be.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.decorateRequest('call');
  app.addHook('onRequest', async (request) => {
    const path = pathOf(request);
    const isCall = !path.startsWith('/_sandbox/');
    request.call = createCall((http) => {
      if (isCall) record({ t: 'call', call: toRecord(request, http, nowMs()) });
    });
    if (!isCall || path.startsWith('/bs2/')) return;
    request.call.account = await authenticator.authenticate(request.headers.authorization, path, nowMs());
  });
  app.addHook('preHandler', (request) => strikeRead(parts, request));
  app.addHook('onSend', async (request, reply) => request.call.finish(reply.statusCode));

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    if (knownPaths.test(path)) throw new Refusal(1202);
    return sendJson(reply, 404, springNotFound(path, nowMs()));
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, log));
  return app;
}

async function strikeRead({ faults, signal }: ServerParts, request: FastifyRequest): Promise<void> {
  const { kind } = request.routeOptions.config;
  if (kind !== 'query' && kind !== 'list' && kind !== 'costs' && kind !== 'file') return;
  const hit = faults.drawRefusal({ call: kind });
  if (!hit) return;
  request.call.fault = hit.name;
  if (hit.name === 'slow_headers') await pause(hit.delayMs ?? 5_000, signal);
  else throwRefusal(hit);
}

function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: (line: object) => void,
): FastifyReply | void {
  // A create whose answer is spoilt has its task; one without a task was refused, whoever refused it.
  const isRefusedCreate = request.routeOptions.config.kind === 'create' && request.call.taskId === undefined;
  if (error instanceof GatewayFault) {
    if (isRefusedCreate) request.call.refused = error.kind;
    if (error.kind === 'reset') return cut(reply);
    return reply.code(502).header('content-type', 'text/html').send(badGatewayPage);
  }
  const refusal = error instanceof Refusal ? error : toRefusal(error, log);
  request.call.code = refusal.code;
  if (isRefusedCreate) request.call.refused = String(refusal.code);
  return sendJson(reply, refusal.httpStatus, refusalBody(refusal));
}

/** What Fastify itself refuses is the client's mistake; anything else is ours. */
function toRefusal(error: unknown, log: (line: object) => void): Refusal {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (typeof status === 'number' && status < 500) return new Refusal(1200);
  log({ event: 'sandbox_error', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  return new Refusal(5000);
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '';
}
