import fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ApiDeps } from './api-deps.ts';
import { createAuthenticate } from './authenticate.ts';
import { createContentLinks } from './content-links.ts';
import { createClientErrorHandler, createErrorHandler, setNotFoundHandler } from './errors.ts';
import { decodeBody, parseJsonBody } from './json-body.ts';
import { createInputError } from './mistakes.ts';
import { collectSchemas } from './openapi.ts';
import { parseQueryString } from './query-string.ts';
import { createRequestId, logRequests } from './request-log.ts';
import { collectRoutes } from './route-table.ts';
import { addAccountRoutes } from './routes/account-routes.ts';
import { addContentRoutes } from './routes/content-routes.ts';
import { addCreateRoutes } from './routes/create-routes.ts';
import { addDeadLetterRoutes } from './routes/dead-letter-routes.ts';
import { addDocsRoutes } from './routes/docs-routes.ts';
import { addEventRoutes } from './routes/event-routes.ts';
import { addHealthRoutes } from './routes/health-routes.ts';
import type { RouteContext, ZodApp } from './routes/route-context.ts';
import { addVideoRoutes } from './routes/video-routes.ts';
import { addDeliveryRoutes } from './routes/webhook-delivery-routes.ts';
import { addWebhookRoutes } from './routes/webhook-routes.ts';
import { createStreams } from './server-sent-events.ts';

/** Made once per process; the caller listens and closes. Closing ends every event
 * stream and gives other answers a short time to finish. */
export function createApp(deps: ApiDeps): FastifyInstance {
  const { options } = deps;
  const errorsPage = `${options.publicUrl}/docs/errors`;
  const handleError = createErrorHandler(errorsPage);
  const app = fastify({
    bodyLimit: options.bodyLimitBytes,
    // A request must arrive within that; a connection may rest for longer than any proxy in front keeps one open.
    requestTimeout: 30_000,
    connectionTimeout: 120_000,
    keepAliveTimeout: 75_000,
    genReqId: createRequestId,
    routerOptions: { maxParamLength: 1_000, querystringParser: parseQueryString },
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    clientErrorHandler: createClientErrorHandler(errorsPage),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setSchemaErrorFormatter(createInputError);
  app.setErrorHandler(handleError);
  readOnlyJson(app);
  app.decorateRequest('principal', null);
  logRequests(app, deps);
  setSecurityHeaders(app);
  setNotFoundHandler(app, collectRoutes(app));
  collectSchemas(app, options);

  const streams = createStreams(deps.onStreams);
  app.addHook('preClose', async () => {
    streams.close();
    // A client that stopped reading would otherwise hold up the shutdown for as long as it likes; a cut file can be resumed.
    const cut = setTimeout(() => app.server.closeAllConnections(), options.closeGraceMs ?? 5_000);
    app.server.once('close', () => clearTimeout(cut));
  });
  const context: RouteContext = { ...deps, streams, links: createContentLinks(deps) };
  void app.register(async (closed: ZodApp) => {
    closed.addHook('onRequest', createAuthenticate(deps.keys));
    addCreateRoutes(closed, context);
    addVideoRoutes(closed, context);
    addEventRoutes(closed, context);
    addAccountRoutes(closed, context);
    addWebhookRoutes(closed, context);
    addDeliveryRoutes(closed, context);
    addDeadLetterRoutes(closed, context);
  });
  void app.register(async (open: ZodApp) => {
    addContentRoutes(open, context);
    addHealthRoutes(open, context);
    addDocsRoutes(open);
  });
  return app as unknown as FastifyInstance; // callers need no knowledge of the type provider
}

function readOnlyJson(app: ZodApp): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      // Many clients name the type also where they send nothing.
      const absent = body.length === 0 && request.routeOptions.schema?.body === undefined;
      done(null, absent ? undefined : parseJsonBody(decodeBody(Buffer.from(body))));
    } catch (error) {
      done(error as Error); // parseJsonBody throws AppError only
    }
  });
}

/** Answers are data: no page may run, frame or sniff them. Documents loosen this for themselves. */
function setSecurityHeaders(app: ZodApp): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
  });
}
