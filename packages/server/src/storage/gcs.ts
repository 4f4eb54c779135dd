import { createHash } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { IdempotencyStrategy, Storage, type Bucket, type File } from '@google-cloud/storage';
import { Agent, request, type Dispatcher } from 'undici';
import { checkBlobKey, checkBlobPrefix } from './blob-key.ts';
import type { BlobStore, ByteRange, PutOptions, PutResult } from './blob-store.ts';
import { exactContent } from './exact-content.ts';
import { gcsError, GcsStatusError, isMissingFile, type GcsPlace } from './gcs-error.ts';
import { upload, type Uploaded } from './gcs-upload.ts';
import type { GcsConfig } from './open.ts';
import { StorageError } from './storage-error.ts';

/** The longest that Google lets a link last. */
const linkSecondsMax = 7 * 24 * 3_600;
const connectTimeoutMs = 5_000;
/** A connection that is silent for so long is dead. */
const idleTimeoutMs = 60_000;
/** Of requests without a body, their repetitions included. */
const requestTimeoutMs = 30_000;

/**
 * Opens a store in a bucket of Google Cloud Storage; `<prefix><key>` is the object, and its generation the ETag. Its bytes are
 * streamed in both directions. The MD5 that the bucket reports of a new object is compared with what was sent.
 * @throws StorageError when the bucket cannot be used
 */
export async function openGcsBlobStore(config: GcsConfig): Promise<BlobStore> {
  const client = createClient(config);
  const bucket = client.bucket(config.bucket);
  const place = {
    bucket: config.bucket,
    host: config.endpoint ? new URL(config.endpoint).host : 'Google Cloud Storage',
  };
  const timeouts = { headersTimeout: idleTimeoutMs, bodyTimeout: idleTimeoutMs };
  const dispatcher = new Agent({ ...timeouts, connect: { timeout: connectTimeoutMs } });
  async function check(): Promise<void> {
    try {
      await checkBucket(bucket);
    } catch (error) {
      throw gcsError(error, 'opening the store', place);
    }
  }
  try {
    await check();
  } catch (error) {
    await dispatcher.destroy();
    throw error;
  }
  const fileAt = (key: string): File => {
    checkBlobKey(key);
    return bucket.file(config.prefix + key);
  };

  async function get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable> {
    const file = fileAt(key);
    signal.throwIfAborted();
    try {
      return await openRead({ client, file, range, dispatcher, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (isMissingFile(error)) {
        throw new StorageError('missing', `There is no file ${JSON.stringify(key)} in the store.`);
      }
      throw gcsError(error, 'reading a file', place);
    }
  }

  /** An object that is not what was sent must not stay, unless it was replaced meanwhile. */
  async function verify(key: string, uploaded: Uploaded, sent: { readonly sha256: string }, options: PutOptions) {
    const { same, generation } = uploaded;
    if (same === true && uploaded.bytes === options.bytes) return;
    if (same === null && (await hashOf(await get(key, undefined, options.signal))) === sent.sha256) return;
    await fileAt(key).delete({ ifGenerationMatch: generation, ignoreNotFound: true });
    throw new StorageError('unavailable', `${place.host} stored other bytes than were sent.`);
  }

  async function put(key: string, content: Readable, options: PutOptions): Promise<PutResult> {
    const file = fileAt(key);
    const { bytes, contentType, signal } = options;
    const exact = exactContent(content, options);
    try {
      signal.throwIfAborted();
      const uploaded = await upload(file, exact, options, { dispatcher, idleTimeoutMs, host: place.host });
      const sha256 = exact.sha256();
      await verify(key, uploaded, { sha256 }, options);
      return { key, bytes, contentType, etag: etagOf(uploaded.generation), sha256 };
    } catch (error) {
      signal.throwIfAborted();
      throw exact.failure() ?? gcsError(error, 'storing a file', place);
    } finally {
      content.destroy();
    }
  }

  return {
    put,
    get,
    async find(key) {
      const file = fileAt(key);
      try {
        const [meta] = await inTime(file.getMetadata());
        const { size = 0, contentType = 'application/octet-stream', generation = '' } = meta;
        return { key, bytes: Number(size), contentType, etag: etagOf(String(generation)) };
      } catch (error) {
        if (isMissingFile(error)) return undefined;
        throw gcsError(error, 'looking at a file', place);
      }
    },
    async delete(key) {
      const file = fileAt(key);
      try {
        await inTime(file.delete({ ignoreNotFound: true }));
      } catch (error) {
        throw gcsError(error, 'deleting a file', place);
      }
    },
    list(prefix) {
      checkBlobPrefix(prefix);
      return list(bucket, config.prefix, prefix, place);
    },
    async signGet(key, { expiresInSeconds, fileName }) {
      const expires = Date.now() + Math.min(expiresInSeconds, linkSecondsMax) * 1_000;
      const responseDisposition = `inline; filename="${fileName}"`;
      try {
        const [link] = await inTime(
          fileAt(key).getSignedUrl({ version: 'v4', action: 'read', expires, responseDisposition }),
        );
        return link;
      } catch (error) {
        throw gcsError(error, 'signing a link', place);
      }
    },
    check,
    close: () => dispatcher.destroy(),
  };
}

function createClient({ projectId, endpoint }: GcsConfig): Storage {
  return new Storage({
    ...(projectId === null ? {} : { projectId }),
    ...(endpoint === null ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: takesAuth(endpoint) }),
    // Everything that is repeated may be: an upload that was only begun, a read, a deletion.
    retryOptions: {
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
      maxRetries: 2,
      maxRetryDelay: 2,
      totalTimeout: requestTimeoutMs / 1_000,
    },
  });
}

/** An endpoint without TLS is one of tests; nothing secret is sent there. */
function takesAuth(endpoint: string): boolean {
  return endpoint.startsWith('https:');
}

/** Looking at the bucket itself may be forbidden to credentials that may do everything in it. */
async function checkBucket(bucket: Bucket): Promise<void> {
  try {
    await inTime(bucket.getMetadata());
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 403)) throw error;
  }
}

/** The SDK has no deadline of its own. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(Object.assign(new Error('no answer'), { name: 'TimeoutError' })),
    requestTimeoutMs,
  );
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Straight from the media address: the SDK's own stream is a chain of buffers and cannot be timed. */
async function openRead(read: {
  readonly client: Storage;
  readonly file: File;
  readonly range: ByteRange | undefined;
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
}): Promise<Readable> {
  const { client, file, range, dispatcher, signal } = read;
  const address = `${client.apiEndpoint}/storage/v1/b/${file.bucket.name}/o/${encodeURIComponent(file.name)}?alt=media`;
  const authorization = takesAuth(client.apiEndpoint)
    ? [...(await inTime(client.authClient.getRequestHeaders(address)))]
    : [];
  const headers = {
    ...Object.fromEntries(authorization),
    ...(range ? { range: `bytes=${range.start}-${range.end}` } : {}),
  };
  const answer = await request(address, { dispatcher, headers, signal });
  if (answer.statusCode === 200 || answer.statusCode === 206) return addAbortSignal(signal, answer.body);
  await answer.body.dump();
  throw new GcsStatusError(answer.statusCode);
}

async function* list(bucket: Bucket, root: string, prefix: string, place: GcsPlace): AsyncGenerator<string> {
  const query = { prefix: root + prefix, autoPaginate: false };
  for (let pageToken: string | undefined; ;) {
    const [files, next] = await inTime(bucket.getFiles({ ...query, ...(pageToken ? { pageToken } : {}) })).catch(
      (error: unknown) => {
        throw gcsError(error, 'listing files', place);
      },
    );
    for (const { name } of files) yield name.slice(root.length);
    pageToken = (next as { readonly pageToken?: string } | null)?.pageToken; // the query of the next page, by the docs
    if (pageToken === undefined) return;
  }
}

function etagOf(generation: string): string {
  return `"${generation}"`;
}

async function hashOf(content: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}
