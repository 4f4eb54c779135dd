import type { FastifyInstance, FastifyBaseLogger, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ApiDeps } from '../api-deps.ts';
import type { ContentLinks } from '../content-links.ts';
import type { Streams } from '../server-sent-events.ts';

/** An app whose handlers get their inputs typed by their schemas. */
export type ZodApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What a group of routes receives. */
export interface RouteContext extends ApiDeps {
  readonly links: ContentLinks;
  readonly streams: Streams;
}
