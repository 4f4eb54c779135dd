import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { PutOptions } from './blob-store.ts';
import type { ExactContent } from './exact-content.ts';
import { onDemand } from './on-demand.ts';
import type { S3Config } from './open.ts';

/** Larger files go up in parts of this size, or of what makes the most parts that S3 takes. */
export const partBytesDefault = 64 * 1024 * 1024;
const partsMax = 10_000;
const abortTimeoutMs = 10_000;

export interface Upload {
  readonly client: S3Client;
  readonly config: S3Config;
  /** In the bucket, with the prefix. */
  readonly objectKey: string;
  readonly content: ExactContent;
  readonly options: PutOptions;
  readonly partBytes: number;
}

export interface Uploaded {
  /** As the store answered it. */
  readonly etag: string;
  /** As it is by the usual rule: MD5 of the file, or of the parts' MD5 and their number. Encryption by KMS breaks that rule. */
  readonly expectedEtag: string;
  /** Only where the bucket keeps versions. */
  readonly versionId: string | undefined;
}

/**
 * Streams a file into the bucket: in one request, or in parts when it is long. Nothing is collected on the way, and nothing is
 * visible before the last request has succeeded. Parts of an upload that failed or was aborted are removed at once; those of a
 * process that was killed stay until the bucket's rule for incomplete uploads removes them.
 */
export async function upload(task: Upload): Promise<Uploaded> {
  return task.options.bytes <= task.partBytes ? await uploadWhole(task) : await uploadInParts(task);
}

async function uploadWhole({ client, config, objectKey, content, options }: Upload): Promise<Uploaded> {
  const input = { ...commonInput(config, objectKey), ContentType: options.contentType };
  const { answer, md5 } = await streamed(content, options.bytes, options.signal, (body, abortSignal) =>
    client.send(new PutObjectCommand({ ...input, Body: body, ContentLength: options.bytes }), { abortSignal }),
  );
  return { etag: answer.ETag ?? '', expectedEtag: `"${md5.toString('hex')}"`, versionId: answer.VersionId };
}

async function uploadInParts(task: Upload): Promise<Uploaded> {
  const { client, config, objectKey, options } = task;
  const { signal, contentType } = options;
  const place = { Bucket: config.bucket, Key: objectKey };
  const begun = await client.send(
    new CreateMultipartUploadCommand({ ...commonInput(config, objectKey), ContentType: contentType }),
    { abortSignal: signal },
  );
  const part = { ...place, UploadId: begun.UploadId };
  try {
    const { parts, md5s } = await uploadParts(task, part);
    const done = new CompleteMultipartUploadCommand({ ...part, MultipartUpload: { Parts: parts } });
    const answer = await client.send(done, { abortSignal: signal });
    // Some servers leave the tag out of this answer.
    const etag = answer.ETag || (await client.send(new HeadObjectCommand(place), { abortSignal: signal })).ETag;
    const md5 = createHash('md5').update(Buffer.concat(md5s)).digest('hex');
    return { etag: etag ?? '', expectedEtag: `"${md5}-${parts.length}"`, versionId: answer.VersionId };
  } catch (error) {
    const abortSignal = AbortSignal.timeout(abortTimeoutMs); // the caller's own has ended, perhaps
    // Whether it works or not, the upload's own failure is what counts.
    await client.send(new AbortMultipartUploadCommand(part), { abortSignal }).catch(() => undefined);
    throw error;
  }
}

async function uploadParts(
  { client, content, options, partBytes }: Upload,
  part: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
): Promise<{ readonly parts: CompletedPart[]; readonly md5s: readonly Buffer[] }> {
  const size = Math.max(partBytes, Math.ceil(options.bytes / partsMax));
  const parts: CompletedPart[] = [];
  const md5s: Buffer[] = [];
  for (let start = 0; start < options.bytes; start += size) {
    const length = Math.min(size, options.bytes - start);
    const number = parts.length + 1;
    const { answer, md5 } = await streamed(content, length, options.signal, (body, abortSignal) =>
      client.send(new UploadPartCommand({ ...part, PartNumber: number, Body: body, ContentLength: length }), {
        abortSignal,
      }),
    );
    parts.push({ PartNumber: number, ETag: answer.ETag });
    md5s.push(md5);
  }
  return { parts, md5s };
}

function commonInput(config: S3Config, objectKey: string) {
  const { encryption, kmsKeyId } = config;
  return {
    Bucket: config.bucket,
    Key: objectKey,
    ...(encryption === null ? {} : { ServerSideEncryption: encryption }),
    ...(kmsKeyId === null ? {} : { SSEKMSKeyId: kmsKeyId }),
  };
}

/** Sends the next bytes of the content; a failure of theirs ends the request. */
async function streamed<Answer>(
  content: ExactContent,
  bytes: number,
  signal: AbortSignal,
  send: (body: Readable | Buffer, abortSignal: AbortSignal) => Promise<Answer>,
): Promise<{ readonly answer: Answer; readonly md5: Buffer }> {
  const hash = createHash('md5');
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const piece of content.slice(bytes)) {
      hash.update(piece);
      yield piece;
    }
  }
  const failed = new AbortController();
  const body = Readable.from(hashed(), { objectMode: false, highWaterMark: onDemand });
  body.once('error', (error) => failed.abort(error));
  try {
    if (bytes === 0) for await (const _ of body); // only to see that it ends there
    const answer = await send(bytes === 0 ? Buffer.alloc(0) : body, AbortSignal.any([signal, failed.signal]));
    return { answer, md5: hash.digest() };
  } finally {
    body.destroy();
  }
}
