import type { FastifyRequest } from 'fastify';
import { CommitUnknownError, isConnectionFailure } from '../db/connection-failure.ts';
import { AppError } from '../kernel/errors.ts';
import { StorageError } from '../storage/storage-error.ts';

/**
 * The answer while the database or the storage is away; undefined for every other failure. A commit whose answer was lost may stand, so that
 * a create must not be repeated without its key.
 */
export function partAway(error: unknown, request: Pick<FastifyRequest, 'method' | 'headers'>): AppError | undefined {
  if (error instanceof StorageError) {
    return new AppError('storage_unavailable', 'The file cannot be read right now; everything else works.', {
      cause: error,
    });
  }
  if (!isConnectionFailure(error)) return undefined;
  return new AppError('database_unavailable', detailOf(error, request), { cause: error });
}

function detailOf(error: unknown, { method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): string {
  if (method === 'GET' || method === 'HEAD') return 'The database cannot be reached right now; send it again.';
  if (!(error instanceof CommitUnknownError)) {
    return 'The database cannot be reached right now. Nothing was changed; send it again.';
  }
  const broke = 'The connection to the database broke while this was stored, so it may have been stored.';
  if (headers['idempotency-key'] !== undefined) {
    return `${broke} Send it again with the same Idempotency-Key: it is then done once.`;
  }
  return `${broke} It had no Idempotency-Key, so look (for a create: GET /api/videos) before you send it again.`;
}
