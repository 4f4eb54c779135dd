/** A commit whose answer never came: the transaction may stand, or may not. */
export class CommitUnknownError extends Error {
  override readonly name = 'CommitUnknownError';

  constructor(cause: unknown) {
    super('The connection broke while a transaction was committed.', { cause });
  }
}

/**
 * SQLSTATE: no connection (08), shut down or starting (57P0), no room (53), a statement ended by its time-out (57014) or a transaction by its
 * (25P03), and a server that has become a read-only copy (25006).
 */
const states = /^(08|57P0|53|57014$|25P03$|25006$)/;
const nodeCodes = /^(ECONN|ENOTFOUND|ETIMEDOUT|EAI_|EHOST|ENET|EPIPE)/;
/** What the client says of its own, without a code. */
const texts = [
  'timeout exceeded when trying to connect',
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed and is not queryable',
  'Postgres connection has been discarded',
  'Query read timeout',
];

/** Whether the database could not be reached or gave up, so that the same work may succeed later. Causes count. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown }; // what Node and the server put on an error
  if (typeof code === 'string' && (states.test(code) || nodeCodes.test(code))) return true;
  if (texts.some((text) => error.message.startsWith(text))) return true;
  if (error instanceof AggregateError) return error.errors.some((each) => isConnectionFailure(each));
  return error.cause !== undefined && isConnectionFailure(error.cause);
}
