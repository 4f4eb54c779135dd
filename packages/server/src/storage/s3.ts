import { createHash } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { checkBlobKey, checkBlobPrefix } from './blob-key.ts';
import type { BlobStore, ByteRange, PutOptions, PutResult } from './blob-store.ts';
import { exactContent } from './exact-content.ts';
import type { S3Config } from './open.ts';
import { checkBucket, createS3Client, placeOf } from './s3-client.ts';
import { isMissingFile, s3Error } from './s3-error.ts';
import { partBytesDefault, upload, type Uploaded } from './s3-upload.ts';
import { StorageError } from './storage-error.ts';

/** The longest that S3 lets a link last. */
const linkSecondsMax = 7 * 24 * 3_600;

/**
 * Opens a store in a bucket of S3 or of anything that speaks its language; `<prefix><key>` is the object. Its bytes are streamed
 * in both directions. What the bucket reports of a new object is compared with what was sent, or the object is read back
 * where the report cannot be compared.
 * @param deps `partBytes`: from which size on a file goes up in parts
 * @throws StorageError when the bucket cannot be used
 */
export async function openS3BlobStore(
  config: S3Config,
  { partBytes = partBytesDefault }: { readonly partBytes?: number } = {},
): Promise<BlobStore> {
  const client = createS3Client(config, { endpoint: config.endpoint });
  const place = placeOf(config);
  const links = createS3Client(
    { ...config, checksums: 'required' },
    { endpoint: config.linkEndpoint ?? config.endpoint },
  );
  const close = (): void => [client, links].forEach((one) => one.destroy());
  try {
    await checkBucket(client, config);
  } catch (error) {
    close();
    throw error;
  }
  const objectAt = (key: string): { readonly Bucket: string; readonly Key: string } => {
    checkBlobKey(key);
    return { Bucket: config.bucket, Key: config.prefix + key };
  };

  async function get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable> {
    const input = { ...objectAt(key), ...(range ? { Range: `bytes=${range.start}-${range.end}` } : {}) };
    try {
      const { Body } = await client.send(new GetObjectCommand(input), { abortSignal: signal });
      if (!(Body instanceof Readable)) throw new TypeError('the SDK gave no stream');
      return addAbortSignal(signal, Body);
    } catch (error) {
      signal.throwIfAborted();
      if (isMissingFile(error)) {
        throw new StorageError('missing', `There is no file ${JSON.stringify(key)} in the store.`);
      }
      throw s3Error(error, 'reading a file', place);
    }
  }

  /** An object that is not what was sent must not stay; of a bucket with versions only the new one goes. */
  async function verify(key: string, uploaded: Uploaded, sha256: string, signal: AbortSignal): Promise<void> {
    if (uploaded.etag === uploaded.expectedEtag) return;
    if ((await hashOf(await get(key, undefined, signal))) === sha256) return;
    await client.send(new DeleteObjectCommand({ ...objectAt(key), VersionId: uploaded.versionId }));
    throw new StorageError('unavailable', `${place.host} gave back other bytes than were sent.`);
  }

  async function put(key: string, content: Readable, options: PutOptions): Promise<PutResult> {
    const objectKey = objectAt(key).Key;
    const { bytes, contentType, signal } = options;
    const exact = exactContent(content, options);
    try {
      const uploaded = await upload({ client, config, objectKey, content: exact, options, partBytes });
      const sha256 = exact.sha256();
      await verify(key, uploaded, sha256, signal);
      return { key, bytes, contentType, etag: uploaded.etag, sha256 };
    } catch (error) {
      signal.throwIfAborted();
      throw exact.failure() ?? s3Error(error, 'storing a file', place);
    } finally {
      content.destroy();
    }
  }

  return {
    put,
    get,
    async find(key) {
      try {
        const head = await client.send(new HeadObjectCommand(objectAt(key)));
        const { ContentLength: bytes = 0, ContentType: contentType = 'application/octet-stream', ETag: etag } = head;
        return { key, bytes, contentType, etag: etag ?? '' };
      } catch (error) {
        if (isMissingFile(error)) return undefined;
        throw s3Error(error, 'looking at a file', place);
      }
    },
    async delete(key) {
      const object = objectAt(key);
      try {
        await client.send(new DeleteObjectCommand(object));
      } catch (error) {
        if (!isMissingFile(error)) throw s3Error(error, 'deleting a file', place);
      }
    },
    list(prefix) {
      checkBlobPrefix(prefix);
      return list(client, config, prefix);
    },
    async signGet(key, { expiresInSeconds, fileName }) {
      const disposition = `inline; filename="${fileName}"`;
      const command = new GetObjectCommand({ ...objectAt(key), ResponseContentDisposition: disposition });
      try {
        return await getSignedUrl(links, command, { expiresIn: Math.min(expiresInSeconds, linkSecondsMax) });
      } catch (error) {
        throw s3Error(error, 'signing a link', place);
      }
    },
    check: () => checkBucket(client, config),
    close: () => Promise.resolve(close()),
  };
}

async function* list(client: S3Client, config: S3Config, prefix: string): AsyncGenerator<string> {
  const input = { Bucket: config.bucket, Prefix: config.prefix + prefix };
  for (let token: string | undefined; ;) {
    const page = await client
      .send(new ListObjectsV2Command({ ...input, ContinuationToken: token }))
      .catch((error: unknown) => {
        throw s3Error(error, 'listing files', placeOf(config));
      });
    for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key.slice(config.prefix.length);
    token = page.NextContinuationToken;
    if (token === undefined) return;
  }
}

async function hashOf(content: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}
