import * as z from 'zod';
import { errorCatalogue } from '../../kernel/errors.ts';

export const creditsSchema = z.number().meta({ description: 'Kling API units; exact to six decimals.' });

export const timeSchema = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC.' });

export const costSchema = z
  .object({ amount: z.string().meta({ description: 'Exact decimal.' }), currency: z.literal('USD') })
  .meta({ id: 'Cost', description: 'At the list price of a credit.' });

const codes = Object.keys(errorCatalogue) as [string, ...string[]]; // a closed table with rows

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.enum(codes),
    retryable: z.boolean(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem document; see docs/errors.md for every code.' });
