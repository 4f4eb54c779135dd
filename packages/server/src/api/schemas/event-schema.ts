import * as z from 'zod';
import { timeSchema } from './common-schemas.ts';

export const eventSchema = z
  .object({
    seq: z.int().meta({ description: 'Per video, from 1, without gaps.' }),
    video_id: z.string(),
    type: z.string().meta({ description: '`video.queued`, `video.completed`, …' }),
    data: z.record(z.string(), z.unknown()),
    created_at: timeSchema,
  })
  .meta({ id: 'VideoEvent' });

export const eventListSchema = z.object({ data: z.array(eventSchema) }).meta({ id: 'VideoEventList' });
