import * as z from 'zod';
import type { DeadLetter } from '../../videos/replay.ts';
import { workspaceOf } from '../authenticate.ts';
import { strictQuery } from '../mistakes.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { problems, refuseBody } from '../route-parts.ts';
import { deadLetterPageSchema, deadLetterSchema } from '../schemas/dead-letter-schemas.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const tags = ['dead letters'];
const params = z.object({ kind: z.string(), id: z.string() });

const listRoute = {
  schema: {
    operationId: 'listDeadLetters',
    summary: 'Work that failed again and again or was given up, newest first',
    tags,
    querystring: strictQuery(pageQuery),
    response: { 200: deadLetterPageSchema, ...problems(400, 401) },
  },
};

const replayRoute = {
  schema: {
    operationId: 'replayDeadLetter',
    summary: 'Do its work again at once; nothing is bought twice. Answers the dead letter as it was',
    tags,
    params,
    querystring: strictQuery({}),
    response: { 202: deadLetterSchema, ...problems(400, 401, 404, 409) },
  },
};

const dismissRoute = {
  schema: {
    operationId: 'dismissDeadLetter',
    summary: 'Remove one that needs nothing more; its work stays as it is',
    tags,
    params,
    querystring: strictQuery({}),
    response: { 204: z.null().describe('Removed.'), ...problems(400, 401, 404) },
  },
};

/** What failed for good and waits for a person. */
export function addDeadLetterRoutes(app: ZodApp, { deadLetters }: RouteContext): void {
  app.get('/api/dead-letters', listRoute, async (request) => {
    const { deadLetters: letters, nextCursor } = await deadLetters.list(pageOf(request.query), workspaceOf(request));
    return { data: letters.map(answerDeadLetter), next_cursor: nextCursor };
  });

  app.post('/api/dead-letters/:kind/:id/replay', replayRoute, async (request, reply) => {
    refuseBody(request);
    const { kind, id } = request.params;
    const replayed = await deadLetters.replay(kind, id, workspaceOf(request));
    return reply.status(202).send(answerDeadLetter(replayed));
  });

  app.delete('/api/dead-letters/:kind/:id', dismissRoute, async (request, reply) => {
    refuseBody(request);
    const { kind, id } = request.params;
    await deadLetters.dismiss(kind, id, workspaceOf(request));
    return reply.status(204).send(null);
  });
}

function answerDeadLetter(letter: DeadLetter): z.infer<typeof deadLetterSchema> {
  return {
    kind: letter.kind,
    id: letter.id,
    video_id: letter.videoId,
    reason: letter.reason,
    crashes: letter.crashes,
    dead_at: letter.deadAt.toISOString(),
    video_status: letter.videoState,
    replayable: letter.replayable,
    replay_hint: letter.hint,
  };
}
