import * as z from 'zod';
import { textProblem } from '../../catalog/text.ts';
import { InputError } from '../../kernel/errors.ts';
import { videoStates } from '../../videos/video.ts';
import { workspaceOf } from '../authenticate.ts';
import { strictQuery } from '../mistakes.ts';
import { answerReceipt } from '../receipt-answer.ts';
import { once, pageOf, pageQuery } from '../page-query.ts';
import { idParams, problems, refuseBody, videoIdOf } from '../route-parts.ts';
import { receiptSchema } from '../schemas/money-schemas.ts';
import { videoPageSchema, videoSchema } from '../schemas/video-schema.ts';
import { answerVideo } from '../video-answer.ts';
import type { VideoState } from '../../db/tables.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

/** Refuses what no stored text contains and no database takes. */
function plainText(name: string, text: z.ZodString): z.ZodString {
  return text.refine((value) => textProblem(value) === undefined, {
    error: (issue) => `\`${name}\` ${textProblem(String(issue.input))}.`,
  });
}

const listQuery = strictQuery({
  status: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({ description: `Only these states, separated by commas or repeated: ${videoStates.join(', ')}.` }),
  model: plainText('model', z.string(once('model')).max(100, '`model` is too long.'))
    .optional()
    .meta({ description: 'Id or alias.' }),
  metadata: z
    .record(z.string(), plainText('metadata', z.string()))
    .optional()
    .meta({ description: 'Only videos with all of these pairs: `metadata[key]=value` or `metadata.key=value`.' }),
  ...pageQuery,
});

const one = { tags: ['videos'], params: idParams };

const listVideosRoute = {
  schema: {
    operationId: 'listVideos',
    summary: 'Videos, newest first',
    tags: ['videos'],
    querystring: listQuery,
    response: { 200: videoPageSchema, ...problems(400, 401) },
  },
};

const getVideoRoute = {
  schema: {
    ...one,
    operationId: 'getVideo',
    summary: 'One video',
    querystring: strictQuery({}),
    response: { 200: videoSchema, ...problems(401, 404) },
  },
};

const cancelVideoRoute = {
  schema: {
    ...one,
    operationId: 'cancelVideo',
    summary: 'Stop a video: free before it was sent to Kling, else charged if Kling charges',
    response: { 200: videoSchema, ...problems(401, 404, 409) },
  },
};

const deleteVideoRoute = {
  schema: {
    ...one,
    operationId: 'deleteVideo',
    summary: 'Delete the file of a final video; receipt and ledger stay',
    response: { 204: z.null().describe('Deleted.'), ...problems(401, 404, 409) },
  },
};

const getReceiptRoute = {
  schema: {
    ...one,
    operationId: 'getReceipt',
    summary: 'What a video was held, charged and released, and every task behind it',
    querystring: strictQuery({}),
    response: { 200: receiptSchema, ...problems(401, 404) },
  },
};

/** What looks at videos and what stops or deletes them. */
export function addVideoRoutes(app: ZodApp, { videos, links }: RouteContext): void {
  app.get('/api/videos', listVideosRoute, async (request) => {
    const { query } = request;
    const filter = {
      states: query.status === undefined ? null : parseStates([query.status].flat()),
      model: query.model ?? null,
      metadata: query.metadata ?? {},
      ...pageOf(query),
    };
    const page = await videos.list(filter, workspaceOf(request));
    const data = await Promise.all(page.videos.map((video) => answerVideo(video, links)));
    return { data, next_cursor: page.nextCursor };
  });

  app.get('/api/videos/:id', getVideoRoute, async (request) =>
    answerVideo(await videos.get(videoIdOf(request), workspaceOf(request)), links),
  );

  app.post('/api/videos/:id/cancel', cancelVideoRoute, async (request) => {
    refuseBody(request);
    return answerVideo(await videos.cancel(videoIdOf(request), workspaceOf(request)), links);
  });

  app.delete('/api/videos/:id', deleteVideoRoute, async (request, reply) => {
    await videos.delete(videoIdOf(request), workspaceOf(request));
    return reply.status(204).send(null);
  });

  app.get('/api/videos/:id/receipt', getReceiptRoute, async (request) =>
    answerReceipt(await videos.receipt(videoIdOf(request), workspaceOf(request))),
  );
}

/** @throws InputError naming each word that is no state */
function parseStates(values: readonly string[]): VideoState[] {
  const words = values.flatMap((value) => value.split(',')).map((word) => word.trim());
  const states = videoStates.filter((state) => words.includes(state));
  const unknown = words.filter((word) => !(states as readonly string[]).includes(word)); // widened to ask for any word
  if (unknown.length === 0) return states;
  throw new InputError(
    unknown.map((word) => ({
      pointer: '?status',
      detail: `${JSON.stringify(word.slice(0, 40))} is not a \`status\`; use ${videoStates.join(', ')}.`,
    })),
  );
}
