import type { Config } from './config.ts';
import type { PostgresOptions } from './db/database.ts';
import { StorageError } from './storage/storage-error.ts';

// Each part by the variable that chooses it and the place where it was looked for; never with credentials.

export function nameDatabase({ url }: Pick<PostgresOptions, 'url'>): string {
  return `the database of DATABASE_URL (${hostOf(url.reveal())})`;
}

export function nameQueue(queue: Config['queue']): string {
  switch (queue.driver) {
    case 'postgres':
      return 'the queue in the database';
    case 'redis':
      return `the queue engine of REDIS_URL (${queue.urls.map((url) => hostOf(url.reveal())).join(', ')})`;
    case 'sqs':
      return `the queue engine of SQS_QUEUE_PREFIX (${queue.endpoint === null ? queue.region : hostOf(queue.endpoint)})`;
    case 'pubsub':
      return `the queue engine of PUBSUB_TOPIC_PREFIX (${queue.emulatorHost ?? queue.projectId ?? 'Google Cloud'})`;
    default:
      return queue satisfies never;
  }
}

export function nameStorage(storage: Config['storage']): string {
  switch (storage.driver) {
    case 'fs':
      return `the files in DATA_DIR (${storage.directory})`;
    case 's3':
      return `the storage of S3_BUCKET (${storage.bucket}${storage.endpoint === null ? '' : ` at ${hostOf(storage.endpoint)}`})`;
    case 'gcs':
      return `the storage of GCS_BUCKET (${storage.bucket}${storage.endpoint === null ? '' : ` at ${hostOf(storage.endpoint)}`})`;
    default:
      return storage satisfies never;
  }
}

function hostOf(address: string): string {
  try {
    return new URL(address).host;
  } catch {
    return 'its address';
  }
}

/** Words for "no", where asking again changes nothing. */
const refusals =
  /AccessDenied|AccessKey|Signature|InvalidClientTokenId|UnrecognizedClient|ExpiredToken|NoSuchBucket|NonExistentQueue|QueueDoesNotExist|PermanentRedirect|WRONGPASS|NOAUTH|NOPERM|CERT_|SELF_SIGNED|UNABLE_TO_/;
/** gRPC: invalid argument, not found, permission denied, unauthenticated. */
const grpcRefusals: ReadonlySet<unknown> = new Set([3, 5, 7, 16]);
/** HTTP: what the caller has to change. */
const httpRefusals: ReadonlySet<unknown> = new Set([301, 400, 401, 403, 404]);

/** Whether an engine or a storage that could not be opened may come by itself: every SDK says it in its own words. */
export function mayCome(error: Error): boolean {
  if (error instanceof StorageError && error.reason !== 'unavailable' && error.reason !== 'full') return false;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: unknown } }; // of any SDK
  if (refusals.test(`${error.name} ${String(code)} ${error.message}`)) return false;
  if (grpcRefusals.has(code) || httpRefusals.has(code) || httpRefusals.has($metadata?.httpStatusCode)) return false;
  return error.cause instanceof Error ? mayCome(error.cause) : true;
}
