import * as z from 'zod';
import { products } from '../../catalog/request.ts';
import { videoStates } from '../../videos/video.ts';
import { costSchema, creditsSchema, timeSchema } from './common-schemas.ts';

export const videoStatusSchema = z.enum(videoStates).meta({
  description: 'Final: `completed`, `failed`, `canceled`.',
});

export const warningSchema = z
  .object({ code: z.string(), message: z.string() })
  .meta({ id: 'Warning', description: 'Something to know about an accepted request.' });

export const queueSchema = z
  .object({
    position: z
      .int()
      .nullable()
      .meta({ description: 'From 1; 0 when it is being made; null when more than 1,000 are ahead.' }),
    starts_at: timeSchema.nullable(),
    ends_at: timeSchema.nullable(),
  })
  .meta({ id: 'Queue', description: 'Where the video stands, and when it is expected to start and end.' });

const fileSchema = z
  .object({
    bytes: z.int(),
    seconds: z.number().nullable(),
    width: z.int().nullable(),
    height: z.int().nullable(),
    sha256: z.string().meta({ description: 'Hex, of the stored bytes.' }),
  })
  .meta({ id: 'VideoFile' });

const videoErrorSchema = z
  .object({
    code: z.string(),
    message: z.string(),
    retryable: z.boolean(),
    provider_code: z.int().nullable(),
    provider_request_id: z.string().nullable(),
  })
  .meta({ id: 'VideoError', description: 'Why the video ended without a file.' });

const linksSchema = z
  .object({
    self: z.string(),
    events: z.string(),
    content: z.string().nullable().meta({ description: 'Null while there is no file.' }),
    cancel: z.string().nullable().meta({ description: 'Null once it can no longer be canceled.' }),
  })
  .meta({ id: 'VideoLinks', description: 'Paths on this server.' });

/** What can be known when a video is estimated already. */
export const madeAsShape = {
  product: z.enum(products),
  model: z.string().meta({ description: 'Canonical id.' }),
  mode: z.enum(['std', 'pro', '4k']).nullable().meta({ description: 'Null for a model without modes.' }),
  duration: z.int().meta({ description: 'Seconds.' }),
  aspect_ratio: z.enum(['16:9', '9:16', '1:1']),
  sound: z.boolean(),
};

export const videoSchema = z
  .object({
    id: z.string(),
    job_id: z.string().meta({ description: 'The same as `id`.' }),
    status: videoStatusSchema,
    provider: z.enum(['kling', 'sandbox']),
    ...madeAsShape,
    prompt: z.string().nullable().meta({ description: 'Null when the shots carry the words.' }),
    metadata: z.record(z.string(), z.string()),
    estimated_credits: creditsSchema,
    charged_credits: creditsSchema.nullable().meta({ description: 'Null while undecided.' }),
    estimated_cost: costSchema,
    queue: queueSchema.nullable(),
    video_url: z.string().nullable().meta({ description: 'Signed and expiring; every answer carries a fresh one.' }),
    poster_url: z.string().nullable(),
    file: fileSchema.nullable(),
    error: videoErrorSchema.nullable(),
    warnings: z.array(warningSchema),
    retry_of: z.string().nullable(),
    created_at: timeSchema,
    started_at: timeSchema.nullable(),
    completed_at: timeSchema.nullable(),
    deleted_at: timeSchema.nullable().meta({ description: 'When its owner deleted the file.' }),
    links: linksSchema,
  })
  .meta({ id: 'Video' });

export type VideoAnswer = z.infer<typeof videoSchema>;

export const videoPageSchema = z
  .object({
    data: z.array(videoSchema).meta({ description: 'Newest first.' }),
    next_cursor: z.string().nullable().meta({ description: 'For `cursor` of the next page; null on the last.' }),
  })
  .meta({ id: 'VideoPage' });
