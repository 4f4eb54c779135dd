import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../kernel/clock.ts';
import type { Secret } from '../kernel/secret.ts';
import type { CallbackUrls } from '../kling/callback-url.ts';
import type { KlingApi } from '../kling/kling-api.ts';
import { verifyWebhookSignature } from '../kling/webhook-signature.ts';
import type { Logger } from '../monitoring/log.ts';

/**
 * - `hint`: told something new
 * - `late`: the attempt is unknown, has ended, or is about to be looked at anyway
 * - `intermediate`: Kling still works on it
 * - `forged`: to an address that we never gave out, or without a good signature
 */
export type CallbackOutcome = 'hint' | 'late' | 'intermediate' | 'forged' | 'unreadable';

export interface CallbackReceiverDeps {
  /** Reads the attempt out of the unguessable path. */
  readonly urls: Pick<CallbackUrls, 'read'>;
  readonly kling: Pick<KlingApi, 'parseCallback'>;
  /** Kling's webhook secrets, old and new during a rotation; with none, callbacks come unsigned. */
  readonly secrets: readonly Secret[];
  /** Makes the poller look at an attempt soon. Unknown attempts are its business. */
  readonly hint: (attemptId: string) => Promise<boolean>;
  /** Told of every callback, for counting; must not throw. */
  readonly onCallback?: (outcome: CallbackOutcome) => void;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
}

/** Kling's largest callback was 1.2 kB. */
const bodyLimitBytes = 256 * 1024;
/** Answers take milliseconds; what is still open then is a caller who does not read. */
const closeGraceMs = 2_000;

/**
 * The server that Kling calls. A callback is a hint and never a fact: all that is taken from it is that the attempt in its
 * path is worth a look, so a forged, repeated or late one costs at most one query. Refusals say nothing.
 */
export function createCallbackReceiver(deps: CallbackReceiverDeps): FastifyInstance {
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 75_000,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (_error, _request, reply) => void answer(reply, 404),
  });
  // Signatures cover the bytes as they came, whatever type they claim.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((_request, reply) => answer(reply, 404));
  app.setErrorHandler((error, request, reply) => {
    const { statusCode = 500 } = error as { statusCode?: number }; // Fastify's own refusals carry one
    if (statusCode >= 500) deps.log.error({ requestId: request.id, err: error }, 'callback failed');
    return answer(reply, statusCode);
  });
  app.addHook('preClose', async () => {
    const cut = setTimeout(() => app.server.closeAllConnections(), closeGraceMs);
    app.server.once('close', () => clearTimeout(cut));
  });
  app.get('/healthz', (_request, reply) => answer(reply, 200));
  app.post('/callbacks/kling/:attemptId/:proof', async (request, reply) => receive(deps, request, reply));
  return app;
}

async function receive(
  deps: CallbackReceiverDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const attemptId = deps.urls.read(request.url);
  if (attemptId === undefined) return refuse(deps, reply, 404, 'unknown address', 'forged');
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  if (deps.secrets.length > 0 && !isSigned(deps, request, body))
    return refuse(deps, reply, 401, 'not signed', 'forged');
  const hint = deps.kling.parseCallback(parse(body));
  if (!hint) return refuse(deps, reply, 400, 'not a callback', 'unreadable');
  const outcome = !hint.final ? 'intermediate' : (await deps.hint(attemptId)) ? 'hint' : 'late';
  deps.onCallback?.(outcome);
  deps.log[hint.final ? 'info' : 'debug']({ attemptId, outcome }, 'callback');
  return answer(reply, 200);
}

function isSigned({ secrets, clock }: CallbackReceiverDeps, request: FastifyRequest, body: Buffer): boolean {
  const signed = {
    id: one(request.headers['webhook-id']),
    timestamp: one(request.headers['webhook-timestamp']),
    signature: one(request.headers['webhook-signature']),
    body,
  };
  return verifyWebhookSignature(signed, secrets, clock.wallMs());
}

function one(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function refuse(
  deps: CallbackReceiverDeps,
  reply: FastifyReply,
  status: number,
  reason: string,
  outcome: CallbackOutcome,
): FastifyReply {
  deps.onCallback?.(outcome);
  deps.log.warn({ status, reason }, 'callback refused');
  return answer(reply, status);
}

function answer(reply: FastifyReply, status: number): FastifyReply {
  return reply
    .status(status)
    .type('text/plain; charset=utf-8')
    .send(status < 300 ? 'ok' : '');
}
