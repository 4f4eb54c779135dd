import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { File } from '@google-cloud/storage';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { PutOptions } from './blob-store.ts';
import type { ExactContent } from './exact-content.ts';
import { GcsStatusError } from './gcs-error.ts';
import { onDemand } from './on-demand.ts';
import { StorageError } from './storage-error.ts';

const cancelTimeoutMs = 10_000;

/** What the bucket says of a new object. Objects of one upload always have their MD5. */
const uploadedSchema = z.object({ generation: z.string(), size: z.string(), md5Hash: z.string().optional() });

export interface Uploaded {
  readonly generation: string;
  readonly bytes: number;
  /** Whether the bucket holds what was sent; null when it does not say. */
  readonly same: boolean | null;
}

/**
 * Streams a file into a resumable upload as its only piece, of known length, with nothing kept for a repetition: whoever ordered
 * the upload orders it again. (The SDK's own stream keeps a whole piece in memory to repeat it.) An upload that failed or was
 * aborted is canceled; one of a process that was killed is never visible, and Google forgets it after a week.
 */
export async function upload(
  file: File,
  content: ExactContent,
  options: PutOptions,
  connection: { readonly dispatcher: Dispatcher; readonly idleTimeoutMs: number; readonly host: string },
): Promise<Uploaded> {
  const { bytes, contentType, signal } = options;
  const [session] = await file.createResumableUpload({ metadata: { contentType, contentLength: bytes } });
  const { dispatcher, idleTimeoutMs, host } = connection;
  const failed = new AbortController();
  const idle = setTimeout(() => {
    failed.abort(new StorageError('unavailable', `The upload to ${host} stood still for ${idleTimeoutMs / 1_000} s.`));
  }, idleTimeoutMs);
  const hash = createHash('md5');
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const piece of content.slice(bytes)) {
      idle.refresh();
      hash.update(piece);
      yield piece;
    }
    idle.refresh();
  }
  const body = Readable.from(hashed(), { objectMode: false, highWaterMark: onDemand });
  body.once('error', (error) => failed.abort(error));
  try {
    if (bytes === 0) for await (const _ of body); // only to see that it ends there
    const answer = await request(session, {
      method: 'PUT',
      dispatcher,
      headers: { 'content-length': String(bytes), 'content-type': contentType },
      body: bytes === 0 ? null : body,
      signal: AbortSignal.any([signal, failed.signal]),
    });
    if (answer.statusCode !== 200 && answer.statusCode !== 201) {
      await answer.body.dump();
      throw new GcsStatusError(answer.statusCode);
    }
    const stored = uploadedSchema.parse(await answer.body.json());
    const same = stored.md5Hash === undefined ? null : stored.md5Hash === hash.digest('base64');
    return { generation: stored.generation, bytes: Number(stored.size), same };
  } catch (error) {
    await cancel(session, dispatcher);
    throw failed.signal.aborted && !signal.aborted ? failed.signal.reason : error;
  } finally {
    clearTimeout(idle);
    body.destroy();
  }
}

/** Whether it works or not, the upload's own failure is what counts. */
async function cancel(session: string, dispatcher: Dispatcher): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  await request(session, { method: 'DELETE', dispatcher, headers: { 'content-length': '0' }, signal })
    .then((answer) => answer.body.dump())
    .catch(() => undefined);
}
