import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { AppError } from '../../kernel/errors.ts';
import { answerFileRequest } from '../../storage/http-range.ts';
import { StorageError } from '../../storage/storage-error.ts';
import type { VideoFile, VideoRecord } from '../../videos/videos.ts';
import { isFinal } from '../../videos/video.ts';
import { findPrincipal } from '../authenticate.ts';
import { fileNameOf, type LinkKind } from '../content-links.ts';
import { strictQuery } from '../mistakes.ts';
import { idParams, problems, videoIdOf } from '../route-parts.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

/** Less than gateways and players wait. */
const storageAnswerMs = 10_000;

const contentQuery = strictQuery({
  expires: z.string().optional().meta({ description: 'Part of a signed link.' }),
  signature: z.string().optional().meta({ description: 'Part of a signed link.' }),
  download: z
    .enum(['0', '1'], '`download` must be 0 or 1.')
    .optional()
    .meta({ description: '1: saved under a readable name instead of played.' }),
});

const getContentSchema = {
  operationId: 'getContent',
  summary: 'The video file; takes Range, If-Range and If-None-Match',
  description: 'Needs an API key or a signed link: the `video_url` of a video.',
  tags: ['videos'],
  security: [{ key: [] }, {}],
  params: idParams,
  querystring: contentQuery,
  response: {
    200: {
      description: 'The whole file.',
      content: { 'video/mp4': { schema: z.string().meta({ format: 'binary' }) } },
    },
    206: {
      description: 'A part of it.',
      content: { 'video/mp4': { schema: z.string().meta({ format: 'binary' }) } },
    },
    304: z.null().describe('Not changed.'),
    ...problems(401, 403, 404, 409, 410, 416),
  },
};

/** The file itself, for whoever has a signed link or a key of the workspace. */
export function addContentRoutes(app: ZodApp, context: RouteContext): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/api/videos/:id/content',
    schema: getContentSchema,
    handler: async (request, reply) => {
      const { video, kind, secondsLeft } = await findVideo(context, request, reply);
      const file = deliverableFile(video);
      const key = kind === 'poster' ? file.posterKey : file.storageKey;
      const download = request.query.download === '1';
      reply.headers({
        ...cachingOf(secondsLeft),
        // A link may be embedded by the pages it was made for; nothing else in an answer may run.
        'cross-origin-resource-policy': 'cross-origin',
        'content-security-policy': "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
        'content-disposition': `${download ? 'attachment' : 'inline'}; filename="${fileNameOf(video, kind)}"`,
      });
      return sendFile(context, request, reply, key ?? file.storageKey);
    },
  });
}

/**
 * A link is the same to everyone who has it, so that caches on the way may keep the answer, but never longer than the link works. What a
 * key opened is for its holder.
 */
function cachingOf(secondsLeft: number | null): Record<string, string> {
  return secondsLeft === null
    ? { 'cache-control': 'private, max-age=300', vary: 'authorization' }
    : { 'cache-control': `public, max-age=${Math.max(0, secondsLeft)}` };
}

interface FoundVideo {
  readonly video: VideoRecord;
  readonly kind: LinkKind;
  /** How much longer the link works, in whole seconds; null for a key. */
  readonly secondsLeft: number | null;
}

/** By signed link when there is one, else by key. */
async function findVideo(
  { videos, keys, links, clock, findVideoWorkspace }: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FoundVideo> {
  const { signature, expires } = request.query as z.infer<typeof contentQuery>; // the route's schema was applied
  if (signature === undefined) {
    request.principal = await findPrincipal(keys, request);
    if (!request.principal) {
      reply.header('www-authenticate', 'Bearer realm="dailies"');
      throw new AppError('unauthenticated', 'Send an API key, or follow the `video_url` of a video: it is signed.');
    }
    const video = await videos.get(videoIdOf(request), request.principal.workspaceId);
    return { video, kind: 'content', secondsLeft: null };
  }
  // Every wrong link gets the same answer, so that links cannot be used to ask which videos exist.
  const workspaceId = await findVideoWorkspace(videoIdOf(request));
  const video = workspaceId === undefined ? undefined : await videos.get(request.videoId ?? '', workspaceId);
  const kind = video?.file ? links.verify(request.url, video.file) : undefined;
  if (video && kind) return { video, kind, secondsLeft: Math.floor(Number(expires) - clock.wallMs() / 1000) };
  throw new AppError('link_invalid', 'This link is not valid or has expired; get the video again for a fresh one.');
}

/** @throws AppError `content_deleted` | `content_not_ready` */
function deliverableFile(video: VideoRecord): VideoFile {
  if (video.file?.state === 'stored') return video.file;
  if (video.file?.state === 'deleted') throw new AppError('content_deleted', 'The file of this video was deleted.');
  const detail = isFinal(video.state)
    ? `The video ended as ${video.state} and has no file.`
    : `The video is ${video.state}; its file comes when it is completed.`;
  throw new AppError('content_not_ready', detail, { data: { video_status: video.state } });
}

async function sendFile(
  { blobs }: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  key: string,
): Promise<FastifyReply> {
  const head = await inTime(blobs.find(key));
  if (!head) throw new AppError('unavailable', 'The file cannot be found in the storage right now.');
  const { headers: sent, method } = request;
  const answer = answerFileRequest(
    {
      method: method === 'HEAD' ? 'HEAD' : 'GET',
      range: sent.range,
      ifRange: sent['if-range'] as string | undefined, // Node joins repeated ones into one text
      ifNoneMatch: sent['if-none-match'],
    },
    head,
  );
  reply.headers(answer.headers);
  if (answer.status === 416) {
    throw new AppError('range_not_satisfiable', `The file has ${head.bytes} bytes; ask for a range inside it.`);
  }
  reply.status(answer.status).type(head.contentType);
  if (!answer.hasBody) return reply.send();
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  try {
    return reply.send(await inTime(blobs.get(key, answer.range, gone.signal)));
  } catch (error) {
    gone.abort();
    throw error;
  }
}

/** A store that falls silent is told to the viewer; bytes that flow may take their time. @throws StorageError */
async function inTime<T>(asking: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const late = sleep(storageAnswerMs, undefined, { signal: answered.signal }).then(() => {
    throw new StorageError('unavailable', `The storage did not answer within ${storageAnswerMs / 1_000} s.`);
  });
  try {
    return await Promise.race([asking, late]);
  } finally {
    answered.abort();
  }
}
