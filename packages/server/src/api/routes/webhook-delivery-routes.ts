import * as z from 'zod';
import type { DeliveryFilter, DeliveryPage } from '../../videos/webhooks.ts';
import { workspaceOf } from '../authenticate.ts';
import { strictQuery } from '../mistakes.ts';
import { once, pageOf, pageQuery } from '../page-query.ts';
import { deliveryIdOf, idParams, problems, refuseBody, webhookIdOf } from '../route-parts.ts';
import { deliveryPageSchema, deliverySchema, deliveryStates } from '../schemas/webhook-schemas.ts';
import { answerDelivery } from '../webhook-answer.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const logQuery = {
  status: z
    .enum(deliveryStates, `\`status\` must be one of ${deliveryStates.join(', ')}.`)
    .optional()
    .meta({ description: 'Only these.' }),
  ...pageQuery,
};
const videoQuery = z
  .string(once('video'))
  .regex(/^vid_[0-9a-z]{26}$/, '`video` must be the id of a video.')
  .optional()
  .meta({ description: 'Only those of this video.' });

const listWebhookDeliveriesRoute = {
  schema: {
    operationId: 'listWebhookDeliveries',
    summary: 'What was sent to a webhook, with every try, newest first',
    tags: ['webhooks'],
    params: idParams,
    querystring: strictQuery(logQuery),
    response: { 200: deliveryPageSchema, ...problems(400, 401, 404) },
  },
};

const listDeliveriesRoute = {
  schema: {
    operationId: 'listDeliveries',
    summary: 'What was sent to anybody, with every try, newest first',
    tags: ['webhooks'],
    querystring: strictQuery({ video: videoQuery, ...logQuery }),
    response: { 200: deliveryPageSchema, ...problems(400, 401, 404) },
  },
};

const getDeliveryRoute = {
  schema: {
    operationId: 'getDelivery',
    summary: 'One delivery with its tries',
    tags: ['webhooks'],
    params: idParams,
    querystring: strictQuery({}),
    response: { 200: deliverySchema, ...problems(400, 401, 404) },
  },
};

const redeliverRoute = {
  schema: {
    operationId: 'redeliver',
    summary: 'Send an ended delivery again at once, under its old `webhook-id`',
    tags: ['webhooks'],
    params: idParams,
    response: { 202: deliverySchema, ...problems(400, 401, 404, 409) },
  },
};

/** The log of what was sent. */
export function addDeliveryRoutes(app: ZodApp, { webhooks }: RouteContext): void {
  app.get('/api/webhooks/:id/deliveries', listWebhookDeliveriesRoute, async (request) => {
    const filter = { ...filterOf(request.query), endpointId: webhookIdOf(request) };
    return answerPage(await webhooks.listDeliveries(filter, workspaceOf(request)));
  });

  app.get('/api/webhook-deliveries', listDeliveriesRoute, async (request) => {
    const filter = { ...filterOf(request.query), videoId: request.query.video ?? null };
    return answerPage(await webhooks.listDeliveries(filter, workspaceOf(request)));
  });

  app.get('/api/webhook-deliveries/:id', getDeliveryRoute, async (request) =>
    answerDelivery(await webhooks.getDelivery(deliveryIdOf(request), workspaceOf(request))),
  );

  app.post('/api/webhook-deliveries/:id/redeliver', redeliverRoute, async (request, reply) => {
    refuseBody(request);
    const delivery = await webhooks.redeliver(deliveryIdOf(request), workspaceOf(request));
    return reply.status(202).send(answerDelivery(delivery));
  });
}

function filterOf(query: z.infer<z.ZodObject<typeof logQuery>>): DeliveryFilter {
  return { endpointId: null, videoId: null, state: query.status ?? null, ...pageOf(query) };
}

function answerPage({ deliveries, nextCursor }: DeliveryPage): z.infer<typeof deliveryPageSchema> {
  return { data: deliveries.map(answerDelivery), next_cursor: nextCursor };
}
