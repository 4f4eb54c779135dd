import * as z from 'zod';
import { webhookAddress } from '../../catalog/schema.ts';
import { textProblem } from '../../catalog/text.ts';
import { toldEventTypes } from '../../videos/deliveries.ts';
import { strictBody } from '../mistakes.ts';
import { timeSchema } from './common-schemas.ts';

const descriptionRule = '`description` must be a text of at most 200 characters.';
const typesRule = `\`event_types\` must be a list of one or more of ${toldEventTypes.join(', ')}.`;

const url = webhookAddress('url').meta({
  description: 'Where events are sent: https, and a public address.',
  format: 'uri',
  examples: ['https://example.com/hooks/dailies'],
});
const description = z
  .string(descriptionRule)
  .max(200, descriptionRule)
  .refine((value) => textProblem(value) === undefined, {
    error: (issue) => `\`description\` ${textProblem(String(issue.input))}.`,
  })
  .meta({ description: 'For people.' });
const eventTypes = z
  .array(z.enum(toldEventTypes, typesRule), typesRule)
  .min(1, typesRule)
  .transform((types) => [...new Set(types)])
  .meta({ description: 'What is sent; everything where it is left out.' });

export const createWebhookBody = strictBody({
  url,
  description: description.default(''),
  event_types: eventTypes.default([...toldEventTypes]),
}).meta({ id: 'CreateWebhook' });

export const updateWebhookBody = strictBody({
  url: url.optional(),
  description: description.optional(),
  event_types: eventTypes.optional(),
  disabled: z
    .boolean('`disabled` must be true or false.')
    .optional()
    .meta({ description: 'False enables it again and forgets its failures.' }),
}).meta({ id: 'UpdateWebhook' });

const webhookShape = {
  id: z.string(),
  url: z.string(),
  description: z.string(),
  event_types: z.array(z.enum(toldEventTypes)),
  created_at: timeSchema,
  failing_since: timeSchema.nullable().meta({ description: 'The first failed try since the last success.' }),
  disabled_at: timeSchema
    .nullable()
    .meta({ description: 'Since when nothing is sent to it; null while it is enabled.' }),
  disabled_reason: z.string().nullable(),
};

export const webhookSchema = z.object(webhookShape).meta({ id: 'Webhook' });

export const webhookWithSecretSchema = z
  .object({
    ...webhookShape,
    secret: z.string().meta({ description: 'Verifies what is sent (Standard Webhooks). Shown only here: keep it.' }),
  })
  .meta({ id: 'WebhookWithSecret' });

export const webhookListSchema = z.object({ data: z.array(webhookSchema) }).meta({ id: 'WebhookList' });

export const deliveryStates = ['pending', 'delivered', 'failed'] as const;

export const deliverySchema = z
  .object({
    id: z.string().meta({ description: 'The `webhook-id` of every try.' }),
    channel: z.enum(['webhook', 'redis']),
    type: z.string().meta({ description: '`video.completed`, …, `webhook.test`.' }),
    video_id: z.string().nullable().meta({ description: 'Null for a test.' }),
    webhook_id: z.string().nullable().meta({ description: 'Null for the `webhook_url` of a video, and for Redis.' }),
    url: z.string().nullable().meta({ description: 'Null for Redis.' }),
    status: z.enum(deliveryStates),
    created_at: timeSchema,
    next_try_at: timeSchema.nullable().meta({ description: 'Null once it has ended.' }),
    delivered_at: timeSchema.nullable(),
    tries: z
      .array(
        z
          .object({
            started_at: timeSchema,
            duration_ms: z.int(),
            status: z.int().nullable().meta({ description: 'HTTP status; null without an answer.' }),
            error: z.string().nullable().meta({ description: 'Null where it arrived.' }),
          })
          .meta({ id: 'DeliveryTry' }),
      )
      .meta({ description: 'Oldest first.' }),
  })
  .meta({ id: 'Delivery' });

export const deliveryPageSchema = z
  .object({ data: z.array(deliverySchema), next_cursor: z.string().nullable() })
  .meta({ id: 'DeliveryPage' });
