import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, NotFoundError } from '../kernel/errors.ts';
import { createId } from '../kernel/ids.ts';
import { partAway } from './part-away.ts';
import { createProblem, problemMediaType } from './problem.ts';
import type { RouteTable } from './route-table.ts';

/** Answers every error, expected or not, as a problem document. */
export function createErrorHandler(errorsPage: string) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const known = asAppError(error, request);
    const problem = createProblem(known, request.id, errorsPage);
    request.failure = { code: problem.code, cause: problem.status >= 500 ? error : undefined };
    reply.header('x-request-id', request.id);
    if (problem.status === 503) reply.header('retry-after', '5');
    reply.removeHeader('content-length');
    return reply
      .status(problem.status)
      .header('cache-control', 'no-store')
      .type(problemMediaType)
      .serializer((body: unknown) => JSON.stringify(body))
      .send(problem);
  };
}

/** 404 for an unknown path; 405 with `Allow` where the path takes other methods. */
export function setNotFoundHandler(app: FastifyInstance, routes: RouteTable): void {
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = routes.methodsOf(path);
    if (methods.length === 0) {
      throw new AppError(
        'not_found',
        `There is no ${request.method} ${path.slice(0, 200)}. See /docs for every route.`,
      );
    }
    reply.header('allow', methods.join(', '));
    throw new AppError(
      'method_not_allowed',
      `${path.slice(0, 200)} does not take ${request.method}; it takes ${methods.join(', ')}.`,
    );
  });
}

/** Turns what Fastify itself refuses into our codes; leaves everything else as it is. */
function asAppError(error: unknown, request: FastifyRequest): unknown {
  if (error instanceof AppError) return error;
  const away = partAway(error, request);
  if (away) return away;
  const { code, statusCode } = error as Partial<FastifyError>; // only read, and checked below
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE': {
      const limit = request.routeOptions.bodyLimit;
      const detail = `The body is larger than the limit of ${limit} bytes.`;
      return new AppError('body_too_large', detail, { data: { limit_bytes: limit }, cause: error });
    }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE': {
      const given = request.headers['content-type'];
      const what = given === undefined ? 'is missing' : `${JSON.stringify(given.slice(0, 100))} is not supported`;
      return new AppError(
        'unsupported_media_type',
        `The content type ${what}; send \`Content-Type: application/json\`.`,
      );
    }
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new AppError('malformed_json', 'The body ended before its Content-Length, or went on after it.');
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new NotFoundError('address', request.url.slice(0, 200));
    default:
      return statusCode !== undefined && statusCode < 500
        ? new AppError('invalid_request', 'The request is not valid HTTP for this server.', { cause: error })
        : error;
  }
}

/** Answers what is no HTTP, or has too large headers, before any request exists. */
export function createClientErrorHandler(errorsPage: string) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
    const detail = tooLarge ? 'The headers are too large.' : 'The request is not valid HTTP.';
    const problem = createProblem(new AppError('invalid_request', detail), createId('request'), errorsPage);
    const status = tooLarge ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
    const body = JSON.stringify({ ...problem, status });
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemMediaType}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  };
}
