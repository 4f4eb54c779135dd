import * as z from 'zod';
import { creditsSchema, costSchema, timeSchema } from './common-schemas.ts';
import { madeAsShape, queueSchema, warningSchema } from './video-schema.ts';

export const estimateSchema = z
  .object({
    provider: z.enum(['kling', 'sandbox']),
    ...madeAsShape,
    estimated_credits: creditsSchema,
    estimated_cost: costSchema,
    price_basis: z.string().meta({ description: 'How the price comes about.' }),
    available_credits: creditsSchema.nullable().meta({ description: 'Left under the limit; null without a limit.' }),
    within_budget: z.boolean(),
    queue: queueSchema,
    warnings: z.array(warningSchema),
  })
  .meta({ id: 'Estimate' });

export const receiptSchema = z
  .object({
    video_id: z.string(),
    price_basis: z.string(),
    estimated_credits: creditsSchema,
    held_credits: creditsSchema.meta({ description: 'Undecided; zero in the end.' }),
    captured_credits: creditsSchema,
    released_credits: creditsSchema,
    captured_cost: costSchema,
    entries: z.array(
      z.object({
        kind: z.enum(['hold', 'capture', 'release']),
        credits: creditsSchema,
        reason: z.string(),
        assumed: z.boolean().meta({ description: 'Kling named no amount, so the hold was taken.' }),
        created_at: timeSchema,
      }),
    ),
    attempts: z.array(
      z.object({
        number: z.int(),
        state: z.string(),
        provider_task_id: z.string().nullable(),
        deducted_credits: creditsSchema.nullable(),
        started_at: timeSchema,
        ended_at: timeSchema.nullable(),
      }),
    ),
  })
  .meta({ id: 'Receipt' });

export const budgetSchema = z
  .object({
    scope: z.string(),
    period: z.enum(['total']),
    limit_credits: creditsSchema.nullable().meta({ description: 'Null: no limit.' }),
    held_credits: creditsSchema,
    captured_credits: creditsSchema,
    available_credits: creditsSchema.nullable(),
  })
  .meta({ id: 'Budget' });

const limitRule = '`limit_credits` must be a number of credits from 0 with at most six decimals, or null for no limit.';

export const budgetBodySchema = z
  .strictObject(
    {
      limit_credits: z
        .union(
          [
            z
              .number()
              .refine((value) => /^\d{1,10}(?:\.\d{1,6})?$/.test(String(value)), limitRule)
              .meta({ minimum: 0 }),
            z.string().regex(/^\d{1,10}(?:\.\d{1,6})?$/, limitRule),
            z.null(),
          ],
          { error: limitRule },
        )
        .meta({ description: 'A number or an exact decimal text; null removes the limit.' }),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys
              .map((name) => `There is no field ${JSON.stringify(name)} here; send \`limit_credits\`.`)
              .join('\n')
          : 'Send a JSON object with `limit_credits`.',
    },
  )
  .meta({ id: 'SetBudget' });
