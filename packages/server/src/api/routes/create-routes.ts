import * as z from 'zod';
import { createVideoBody } from '../../catalog/schema.ts';
import { creditsToCost, creditsToNumber } from '../../kernel/money.ts';
import type { Created, Estimate } from '../../videos/videos.ts';
import { workspaceOf } from '../authenticate.ts';
import { idempotencyKeyOf, idParams, problems, refuseBody, videoIdOf } from '../route-parts.ts';
import { estimateSchema } from '../schemas/money-schemas.ts';
import { videoSchema } from '../schemas/video-schema.ts';
import { answerQueue, answerWithoutLinks, videoPath } from '../video-answer.ts';
import type { FastifyReply } from 'fastify';
import type { RouteContext, ZodApp } from './route-context.ts';

const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .optional()
    .meta({ description: 'The same key within 24 hours replays the first answer. Up to 255 characters.' }),
});

/** The body is read by the catalog, which knows what each model takes; the schema here documents it. */
const readByCatalog = () => (data: unknown) => ({ value: data });

const accepted = {
  202: videoSchema.describe('Accepted: priced, its budget held, and queued. `Location` names it.'),
};

const createVideoRoute = {
  schema: {
    operationId: 'createVideo',
    summary: 'Make a video',
    tags: ['videos'],
    headers: idempotencyHeaders,
    body: createVideoBody,
    response: { ...accepted, ...problems(400, 401, 402, 409, 413, 415) },
  },
  validatorCompiler: readByCatalog,
};

const retryVideoRoute = {
  schema: {
    operationId: 'retryVideo',
    summary: 'Make a final video again, as a new one at the current price',
    tags: ['videos'],
    params: idParams,
    headers: idempotencyHeaders,
    response: { ...accepted, ...problems(400, 401, 402, 404, 409) },
  },
};

const estimateVideoRoute = {
  schema: {
    operationId: 'estimateVideo',
    summary: 'Price, place in the queue and expected times of a video; nothing is stored or spent',
    tags: ['videos'],
    body: createVideoBody,
    response: { 200: estimateSchema, ...problems(400, 401, 413, 415) },
  },
  validatorCompiler: readByCatalog,
};

/** What makes videos, or says what making one would cost. */
export function addCreateRoutes(app: ZodApp, { videos, options: { provider } }: RouteContext): void {
  app.post('/api/videos', createVideoRoute, async (request, reply) => {
    const workspaceId = workspaceOf(request);
    const idempotencyKey = idempotencyKeyOf(request);
    const options = { workspaceId, idempotencyKey, render: answerWithoutLinks };
    return sendCreated(reply, await videos.create(request.body, options));
  });

  app.post('/api/videos/:id/retry', retryVideoRoute, async (request, reply) => {
    const workspaceId = workspaceOf(request);
    refuseBody(request);
    const idempotencyKey = idempotencyKeyOf(request);
    const options = { workspaceId, idempotencyKey, render: answerWithoutLinks };
    return sendCreated(reply, await videos.retry(videoIdOf(request), options));
  });

  app.post('/api/videos/estimate', estimateVideoRoute, async (request) => ({
    provider,
    ...answerEstimate(await videos.estimate(request.body, workspaceOf(request))),
  }));
}

/** Sent as text: a replayed answer is what an older version made and must not be held against today's schema. */
function sendCreated(reply: FastifyReply, created: Created): FastifyReply {
  reply.request.videoId = created.videoId;
  if (created.replayed) reply.header('idempotency-replayed', 'true');
  return reply
    .status(202)
    .header('location', videoPath(created.videoId))
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(created.answer));
}

function answerEstimate(estimate: Estimate): Omit<z.infer<typeof estimateSchema>, 'provider'> {
  const { request, credits, available } = estimate;
  return {
    product: request.product,
    model: request.model,
    mode: request.mode,
    duration: request.duration,
    aspect_ratio: request.aspect_ratio,
    sound: request.sound,
    estimated_credits: creditsToNumber(credits),
    estimated_cost: creditsToCost(credits),
    price_basis: estimate.priceBasis,
    available_credits: available === null ? null : creditsToNumber(available),
    within_budget: available === null || credits <= available,
    queue: answerQueue(estimate.queue),
    warnings: estimate.warnings.map(({ code, message }) => ({ code, message })),
  };
}
