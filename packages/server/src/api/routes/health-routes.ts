import * as z from 'zod';
import { readyHttpStatus } from '../../monitoring/health.ts';
import { strictQuery } from '../mistakes.ts';
import { preventCaching } from '../route-parts.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const readySchema = z
  .object({
    status: z.enum(['ready', 'degraded', 'not_ready', 'stopping']),
    checks: z.record(
      z.string(),
      z.object({ ok: z.boolean(), required: z.boolean(), reason: z.string().optional(), ms: z.number() }),
    ),
  })
  .meta({ id: 'Readiness' });

const getHealthRoute = {
  schema: {
    operationId: 'getHealth',
    summary: 'The process answers',
    tags: ['health'],
    security: [],
    querystring: strictQuery({}),
    response: { 200: z.object({ status: z.literal('ok'), uptime_seconds: z.int() }) },
  },
};

const getReadinessRoute = {
  schema: {
    operationId: 'getReadiness',
    summary: 'The process can do its work now',
    tags: ['health'],
    security: [],
    querystring: strictQuery({}),
    response: { 200: readySchema, 503: readySchema },
  },
};

/** For load balancers and orchestrators; without a key, so they show no detail beyond the names of parts. */
export function addHealthRoutes(app: ZodApp, { health }: RouteContext): void {
  app.get('/healthz', getHealthRoute, async (_request, reply) => {
    preventCaching(reply);
    return health.live();
  });

  app.get('/readyz', getReadinessRoute, async (_request, reply) => {
    preventCaching(reply);
    const report = await health.ready();
    return reply.status(readyHttpStatus(report)).send({ ...report, checks: { ...report.checks } });
  });
}
