import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { SandboxEvent } from '../engine/events.ts';
import type { State } from '../engine/state.ts';
import type { Task } from '../engine/task.ts';
import type { FaultHit } from '../faults/catalogue.ts';
import type { Clips } from '../files/clips.ts';
import type { FileUrls } from '../files/file-urls.ts';
import { filePrefix, plainNameOf, willSpoil } from '../files/file-urls.ts';
import { readRange } from '../files/range.ts';

export interface FileRouteParts {
  readonly state: State;
  readonly clips: Clips;
  readonly urls: FileUrls;
  readonly rangeRequests: boolean;
  nowMs(): number;
  record(event: SandboxEvent): void;
}

/** Downloads: no credentials but the signed address, 403 after its expiry. */
export function fileRoutes(app: FastifyInstance, parts: FileRouteParts): void {
  const { state, clips, urls, nowMs, record } = parts;

  /** Whether this download is one that the fault spoils; then it counts as spoilt. */
  function spoils(task: Task, fault: FaultHit['name']): boolean {
    const isHit = willSpoil(task, fault);
    if (isHit) record({ t: 'spoilt', id: task.plan.id, fault });
    return isHit;
  }

  app.route<{ Params: { name: string }; Querystring: Record<string, unknown> }>({
    method: ['GET', 'HEAD'],
    url: `${filePrefix}/:owner/VIDEO/:day/:name`,
    config: { kind: 'file' },
    handler: async (request, reply) => {
      const task = state.byFileName.get(plainNameOf(request.params.name));
      const access = urls.check(request.url.split('?')[0] ?? '', request.query, nowMs());
      request.call.taskId = task?.plan.id;
      if (access === 'expired' && task) spoils(task, 'expired_url');
      if (access !== 'valid') return deny(reply, 403, 'AccessDenied', 'Access denied');
      if (task?.status !== 'succeeded') return deny(reply, 404, 'NoSuchKey', 'The specified key does not exist.');
      const clip = await clips.get(task);
      const isGet = request.method === 'GET';
      const takesRange = parts.rangeRequests && !(isGet && spoils(task, 'no_range'));
      reply
        .header('content-type', 'video/mp4')
        .header('etag', clip.etag)
        .header('last-modified', new Date(task.updatedAtMs).toUTCString())
        .header('cache-control', 'max-age=2592000');
      if (takesRange) reply.header('accept-ranges', 'bytes');
      if (isGet && spoils(task, 'truncated_file')) {
        request.call.fault = 'truncated_file';
        return sendBytes(request, reply, clip.bytes.subarray(0, Math.floor(clip.bytes.length * 0.6)), false, clip.etag);
      }
      if (isGet && spoils(task, 'wrong_length')) {
        request.call.fault = 'wrong_length';
        return sendShort(reply, clip.bytes);
      }
      return sendBytes(request, reply, clip.bytes, takesRange, clip.etag);
    },
  });
}

function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: Uint8Array,
  takesRange: boolean,
  etag: string,
): FastifyReply {
  const { range: header, 'if-range': ifRange } = request.headers;
  const isSame = ifRange === undefined || ifRange === etag || ifRange === reply.getHeader('last-modified');
  const range = takesRange && isSame ? readRange(header, bytes.length) : undefined;
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${bytes.length}`).send();
  }
  const part = range ? bytes.subarray(range.start, range.end + 1) : bytes;
  if (range) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes.length}`);
  reply.header('content-length', part.length);
  return request.method === 'HEAD' ? reply.send() : reply.send(Buffer.from(part.buffer, part.byteOffset, part.length));
}

/** Announces a thousand bytes more than there are, sends what there is, and cuts. */
function sendShort(reply: FastifyReply, bytes: Uint8Array): FastifyReply {
  const { raw } = reply;
  reply.hijack();
  reply.request.call.finish(200);
  raw.writeHead(200, { 'content-type': 'video/mp4', 'content-length': bytes.length + 1000 });
  raw.write(bytes, () => raw.destroy());
  return reply;
}

function deny(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  const xml = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return reply.code(status).header('content-type', 'text/xml').send(xml);
}
