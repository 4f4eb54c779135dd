import { asError } from '../kernel/errors.ts';

/** What went wrong at the server or on the way to it; the message names no secret. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
}

/** The text of a failure of the client, without the arguments of commands: they may be a password. */
export function messageOf(thrown: unknown): string {
  const error = asError(thrown);
  if (error.name === 'MaxRetriesPerRequestError') return 'The connection was lost.';
  if (error.message.includes('enableOfflineQueue')) return 'There is no connection.';
  const { lastNodeError, code } = error as NodeJS.ErrnoException & { lastNodeError?: unknown }; // only read
  if (lastNodeError instanceof Error) return messageOf(lastNodeError);
  // A server that does not know a command repeats what came with it.
  const message = error.message.replace(/,? with args beginning with:.*$/s, '');
  const parts = [message, typeof code === 'string' && !message.includes(code) ? code : ''];
  return parts.filter((part) => part !== '').join(': ') || error.name;
}

/** @throws RedisError for whatever the promise is rejected with */
export async function orRedisError<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new RedisError(messageOf(error));
  }
}
