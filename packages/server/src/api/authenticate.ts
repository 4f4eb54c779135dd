import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../kernel/errors.ts';
import type { Keys, Principal } from './authentication.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the authentication hook; null where a route takes no key. */
    principal: Principal | null;
  }
}

/** A hook that lets only requests with a valid key pass, before their body is read. */
export function createAuthenticate(keys: Keys) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    request.principal = await findPrincipal(keys, request);
    if (request.principal) return;
    reply.header('www-authenticate', 'Bearer realm="dailies"');
    throw new AppError('unauthenticated', unauthenticatedDetail(request.headers.authorization));
  };
}

/** The holder of the request's key, or null. */
export async function findPrincipal(keys: Keys, request: FastifyRequest): Promise<Principal | null> {
  const key = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  return (key !== undefined && (await keys.find(key))) || null;
}

/** The workspace that a request acts in. @throws Error on a route without the hook: a bug */
export function workspaceOf(request: FastifyRequest): string {
  if (!request.principal) throw new Error('this route is not behind the authentication hook');
  return request.principal.workspaceId;
}

function unauthenticatedDetail(header: string | undefined): string {
  const fix = 'Send `Authorization: Bearer <key>`; an embedded server keeps its key in `.dailies/api-key`.';
  if (header === undefined) return `No API key was sent. ${fix}`;
  if (!/^Bearer +\S+ *$/i.test(header)) return `The Authorization header is not \`Bearer <key>\`. ${fix}`;
  return `This API key is unknown or revoked. ${fix}`;
}
