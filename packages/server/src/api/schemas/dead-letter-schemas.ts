import * as z from 'zod';
import { timeSchema } from './common-schemas.ts';
import { videoStatusSchema } from './video-schema.ts';

export const deadLetterSchema = z
  .object({
    kind: z.enum(['submit', 'archive', 'notify']).meta({ description: 'What was being done.' }),
    id: z.string().meta({ description: 'Of the attempt, the file or the delivery.' }),
    video_id: z.string().nullable().meta({ description: 'Null for a test of a webhook.' }),
    reason: z.string().nullable(),
    crashes: z.int().meta({ description: 'How often its handler crashed.' }),
    dead_at: timeSchema,
    video_status: videoStatusSchema.nullable(),
    replayable: z.boolean(),
    replay_hint: z.string().meta({ description: 'What a replay does, or what to do instead.' }),
  })
  .meta({ id: 'DeadLetter' });

export const deadLetterPageSchema = z
  .object({ data: z.array(deadLetterSchema), next_cursor: z.string().nullable() })
  .meta({ id: 'DeadLetterPage' });
