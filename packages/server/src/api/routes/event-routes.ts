import * as z from 'zod';
import { workspaceOf } from '../authenticate.ts';
import { answerEvent, isSettled, streamVideo, streamWorkspace } from '../event-streams.ts';
import { strictQuery } from '../mistakes.ts';
import { idParams, lastEventIdOf, lastSeqOf, preventCaching, problems, videoIdOf } from '../route-parts.ts';
import { eventListSchema } from '../schemas/event-schema.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const placeHeaders = z.looseObject({
  'last-event-id': z.string().optional().meta({ description: 'Go on after this event.' }),
});

const stream = {
  description: 'Server-sent events; the data of each is a `VideoEvent`.',
  content: { 'text/event-stream': { schema: z.string() } },
};

const streamVideoEventsRoute = {
  exposeHeadRoute: false, // its stream would never end
  schema: {
    operationId: 'streamVideoEvents',
    summary: 'The events of a video; with `Accept: application/json` those so far as a list',
    description:
      'From the first event, or after `Last-Event-ID` (a `seq`). The stream ends with the event `end` once nothing can ' +
      'happen to the video any more; a reader that comes back after that gets 204.',
    tags: ['events'],
    params: idParams,
    headers: placeHeaders,
    querystring: strictQuery({}),
    response: {
      200: {
        description: stream.description,
        content: { ...stream.content, 'application/json': { schema: eventListSchema } },
      },
      204: z.null().describe('The reader has seen everything.'),
      ...problems(400, 401, 404),
    },
  },
};

const streamEventsRoute = {
  exposeHeadRoute: false, // its stream would never end
  schema: {
    operationId: 'streamEvents',
    summary: 'The events of all videos, from now on or after `Last-Event-ID`',
    tags: ['events'],
    headers: placeHeaders,
    querystring: strictQuery({}),
    response: { 200: stream, ...problems(400, 401) },
  },
};

/** Events as streams that resume where the reader stopped. */
export function addEventRoutes(app: ZodApp, { videos, streams }: RouteContext): void {
  app.get('/api/videos/:id/events', streamVideoEventsRoute, async (request, reply) => {
    const id = videoIdOf(request);
    const workspaceId = workspaceOf(request);
    const afterSeq = lastSeqOf(request);
    preventCaching(reply);
    if (prefersJson(request.headers.accept)) {
      const data = (await videos.listEvents(id, workspaceId, afterSeq)).map(answerEvent);
      return reply.type('application/json; charset=utf-8').send({ data });
    }
    const video = await videos.get(id, workspaceId);
    if (afterSeq > 0 && afterSeq >= video.eventSeq && isSettled(video)) return reply.status(204).send(null);
    return streams.send(reply, (signal) => streamVideo(videos, { id, workspaceId, afterSeq }, signal));
  });

  app.get('/api/events', streamEventsRoute, async (request, reply) => {
    const workspaceId = workspaceOf(request);
    const cursor = lastEventIdOf(request);
    // A wrong cursor is refused with a problem document before the stream begins.
    if (cursor !== null) await videos.listWorkspaceEvents(workspaceId, cursor);
    return streams.send(reply, (signal) => streamWorkspace(videos, workspaceId, cursor, signal));
  });
}

/** Streams are for whoever asks for them or for anything; JSON only for whoever names it and not the stream. */
function prefersJson(accept: string | undefined): boolean {
  return accept !== undefined && accept.includes('application/json') && !accept.includes('text/event-stream');
}
