import * as z from 'zod';
import type { EndpointChange } from '../../videos/webhooks.ts';
import { workspaceOf } from '../authenticate.ts';
import { strictQuery } from '../mistakes.ts';
import { idParams, preventCaching, problems, refuseBody, webhookIdOf } from '../route-parts.ts';
import {
  createWebhookBody,
  deliverySchema,
  updateWebhookBody,
  webhookListSchema,
  webhookSchema,
  webhookWithSecretSchema,
} from '../schemas/webhook-schemas.ts';
import { answerDelivery, answerWebhook, answerWithSecret } from '../webhook-answer.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const one = { tags: ['webhooks'], params: idParams };

const createWebhookRoute = {
  schema: {
    operationId: 'createWebhook',
    summary: 'Tell an address of every final video; the answer shows its secret, once',
    tags: ['webhooks'],
    body: createWebhookBody,
    response: { 201: webhookWithSecretSchema, ...problems(400, 401, 409, 413, 415) },
  },
};

const listWebhooksRoute = {
  schema: {
    operationId: 'listWebhooks',
    summary: 'Every webhook of the workspace, oldest first',
    tags: ['webhooks'],
    querystring: strictQuery({}),
    response: { 200: webhookListSchema, ...problems(400, 401) },
  },
};

const getWebhookRoute = {
  schema: {
    ...one,
    operationId: 'getWebhook',
    summary: 'One webhook',
    querystring: strictQuery({}),
    response: { 200: webhookSchema, ...problems(400, 401, 404) },
  },
};

const updateWebhookRoute = {
  schema: {
    ...one,
    operationId: 'updateWebhook',
    summary: 'Change a webhook, disable it or enable it again',
    body: updateWebhookBody,
    response: { 200: webhookSchema, ...problems(400, 401, 404, 413, 415) },
  },
};

const deleteWebhookRoute = {
  schema: {
    ...one,
    operationId: 'deleteWebhook',
    summary: 'Remove a webhook; the log of its deliveries stays',
    response: { 204: z.null().describe('Removed.'), ...problems(401, 404) },
  },
};

const rotateSecretRoute = {
  schema: {
    ...one,
    operationId: 'rotateWebhookSecret',
    summary: 'A new secret, shown once; for a day everything is signed with the old one too',
    response: { 200: webhookWithSecretSchema, ...problems(400, 401, 404) },
  },
};

const testWebhookRoute = {
  schema: {
    ...one,
    operationId: 'testWebhook',
    summary: 'Send `webhook.test` at once, with one try; the delivery shows how it went',
    response: { 202: deliverySchema, ...problems(400, 401, 404, 409) },
  },
};

/** Where a workspace wants to hear of its videos. */
export function addWebhookRoutes(app: ZodApp, { webhooks }: RouteContext): void {
  app.post('/api/webhooks', createWebhookRoute, async (request, reply) => {
    const { url, description, event_types: eventTypes } = request.body;
    const created = await webhooks.create({ url, description, eventTypes }, workspaceOf(request));
    preventCaching(reply);
    return reply.status(201).header('location', webhookPath(created.endpoint.id)).send(answerWithSecret(created));
  });

  app.get('/api/webhooks', listWebhooksRoute, async (request) => ({
    data: (await webhooks.list(workspaceOf(request))).map(answerWebhook),
  }));

  app.get('/api/webhooks/:id', getWebhookRoute, async (request) =>
    answerWebhook(await webhooks.get(webhookIdOf(request), workspaceOf(request))),
  );

  app.patch('/api/webhooks/:id', updateWebhookRoute, async (request) => {
    const { url, description, event_types: eventTypes, disabled } = request.body;
    const change: EndpointChange = {
      ...(url === undefined ? {} : { url }),
      ...(description === undefined ? {} : { description }),
      ...(eventTypes === undefined ? {} : { eventTypes }),
      ...(disabled === undefined ? {} : { disabled }),
    };
    return answerWebhook(await webhooks.update(webhookIdOf(request), change, workspaceOf(request)));
  });

  app.delete('/api/webhooks/:id', deleteWebhookRoute, async (request, reply) => {
    await webhooks.delete(webhookIdOf(request), workspaceOf(request));
    return reply.status(204).send(null);
  });

  app.post('/api/webhooks/:id/rotate-secret', rotateSecretRoute, async (request, reply) => {
    refuseBody(request);
    preventCaching(reply);
    return answerWithSecret(await webhooks.rotateSecret(webhookIdOf(request), workspaceOf(request)));
  });

  app.post('/api/webhooks/:id/test', testWebhookRoute, async (request, reply) => {
    refuseBody(request);
    return reply.status(202).send(answerDelivery(await webhooks.test(webhookIdOf(request), workspaceOf(request))));
  });
}

function webhookPath(id: string): string {
  return `/api/webhooks/${id}`;
}
