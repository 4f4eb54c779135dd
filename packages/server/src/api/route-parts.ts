import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { AppError, InputError, NotFoundError } from '../kernel/errors.ts';
import { idPrefixes } from '../kernel/ids.ts';
import { problemMediaType } from './problem.ts';
import { problemSchema } from './schemas/common-schemas.ts';

export const idParams = z.object({ id: z.string() });

const videoIdPattern = /^vid_[0-9a-z]{26}$/;

/** The video id of a path. What cannot be an id is not looked up, and answered like an unknown one. */
export function videoIdOf(request: FastifyRequest): string {
  const { id } = request.params as z.infer<typeof idParams>; // every route that calls this has these params
  if (!videoIdPattern.test(id)) throw new NotFoundError('video', id.slice(0, 100));
  request.videoId = id;
  return id;
}

/** The id of a webhook endpoint in a path. */
export const webhookIdOf = (request: FastifyRequest): string => idOf(request, 'webhook');
/** The id of a delivery in a path. */
export const deliveryIdOf = (request: FastifyRequest): string => idOf(request, 'delivery');

/** What cannot be an id is not looked up, and answered like an unknown one. */
function idOf(request: FastifyRequest, kind: 'webhook' | 'delivery'): string {
  const { id } = request.params as z.infer<typeof idParams>; // every route that calls this has these params
  if (new RegExp(`^${idPrefixes[kind]}_[0-9a-z]{26}$`).test(id)) return id;
  throw new NotFoundError(kind, id.slice(0, 100));
}

/** Responses for the OpenAPI document, beside the successful one. */
export function problems(...statuses: readonly number[]) {
  const content = { [problemMediaType]: { schema: problemSchema } };
  return Object.fromEntries(statuses.map((status) => [status, { description: `${STATUS_CODES[status]}.`, content }]));
}

/** The Idempotency-Key of a request, or null. @throws InputError */
export function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(key)) return key;
  const detail = 'The header Idempotency-Key must have 1 to 255 printable ASCII characters; a UUID is a good key.';
  throw new InputError([{ pointer: 'header:Idempotency-Key', detail }]);
}

/** Puts "no body" where a body has no meaning: a client that sends one means something that would not happen. */
export function refuseBody(request: FastifyRequest): void {
  const { body } = request;
  if (body == null || (typeof body === 'object' && Object.keys(body).length === 0)) return;
  throw new InputError([{ pointer: '', detail: 'This action takes no body; leave it out.' }]);
}

export function preventCaching(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store');
}

/** @throws AppError `not_found` when the reader's place is not one that we gave out */
export function lastEventIdOf(request: FastifyRequest): string | null {
  const id = request.headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : null;
}

/** A reader's place in a video's own stream; 0 without one. @throws AppError `invalid_request` */
export function lastSeqOf(request: FastifyRequest): number {
  const id = lastEventIdOf(request);
  if (id === null) return 0;
  if (/^\d{1,9}$/.test(id)) return Number(id);
  const detail = 'The header Last-Event-ID must be the `id` of an event of this video: a whole number from 0.';
  throw new AppError('invalid_request', detail, { data: { errors: [{ pointer: 'header:Last-Event-ID', detail }] } });
}
