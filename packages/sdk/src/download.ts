import { ConnectionError, DailiesError } from './errors.ts';
import { path } from './path.ts';
import { pause, waitBeforeRetryMs } from './retry.ts';
import type { Transport } from './transport.ts';

export interface DownloadOptions {
  /** First byte wanted, to go on with a file of which that many bytes are there. Default 0. */
  readonly offset?: number;
  readonly signal?: AbortSignal;
}

export interface Download {
  /** The bytes from `offset` on. Broken connections are resumed inside; an error means that resuming failed. */
  readonly body: ReadableStream<Uint8Array>;
  /** Of the whole file; null when the server did not say. */
  readonly sizeBytes: number | null;
  readonly contentType: string | null;
  readonly etag: string | null;
}

interface Part {
  readonly response: Response;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly sizeBytes: number | null;
}

/**
 * Opens the file of a completed video.
 * @throws DailiesError `content_not_ready` | `content_deleted` | `range_not_satisfiable` when `offset` is beyond the end
 */
export async function downloadVideo(
  transport: Transport,
  id: string,
  options: DownloadOptions,
  settings: { readonly maxRetries: number; readonly retryBaseMs: number },
): Promise<Download> {
  let offset = options.offset ?? 0;
  let failures = 0;
  let part = await openPart(transport, id, offset, null, options.signal);
  const etag = part.response.headers.get('etag');
  const { sizeBytes } = part;

  async function read(): Promise<Uint8Array | null> {
    for (;;) {
      try {
        const { done, value } = await part.reader.read();
        if (value) {
          failures = 0;
          offset += value.byteLength;
          return value;
        }
        if (done && (sizeBytes === null || offset >= sizeBytes)) return null;
        throw new ConnectionError(`The download of ${id} ended at byte ${String(offset)}.`, undefined);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof DailiesError && !error.retryable) throw error;
        if (++failures > settings.maxRetries) throw broken(id, offset, error);
        await pause(waitBeforeRetryMs(failures, settings.retryBaseMs, null) ?? 0, options.signal);
        part = await openPart(transport, id, offset, etag, options.signal);
      }
    }
  }

  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const chunk = await read();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
    cancel: async (reason) => {
      await part.reader.cancel(reason);
    },
  });
  return { body, sizeBytes, contentType: part.response.headers.get('content-type'), etag };
}

async function openPart(
  transport: Transport,
  id: string,
  offset: number,
  etag: string | null,
  signal: AbortSignal | undefined,
): Promise<Part> {
  const response = await transport.open({
    method: 'GET',
    path: path`/api/videos/${id}/content`,
    headers: {
      accept: 'video/mp4, application/problem+json',
      ...(offset === 0 ? {} : { range: `bytes=${String(offset)}-` }),
      // Without it, a file that changed in between would be glued to the old beginning.
      ...(etag === null || offset === 0 ? {} : { 'if-range': etag }),
    },
    signal,
    repeatable: true,
  });
  if (!response.body) throw new ConnectionError(`The content of ${id} came without a body.`, undefined);
  if (offset > 0 && response.status !== 206) {
    await response.body.cancel();
    throw new DailiesError(
      `The file of ${id} cannot be resumed at byte ${String(offset)}; download it from the start.`,
      {
        code: 'download_changed',
        status: response.status,
      },
    );
  }
  return { response, reader: response.body.getReader(), sizeBytes: wholeSize(response) };
}

function wholeSize(response: Response): number | null {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  const encoded = response.headers.has('content-encoding'); // then the length is not of what we read
  const text = total ?? (response.status === 200 && !encoded ? response.headers.get('content-length') : null);
  return text === null ? null : Number(text);
}

function broken(id: string, offset: number, cause: unknown): ConnectionError {
  return new ConnectionError(`The download of ${id} broke at byte ${String(offset)} and could not be resumed.`, cause);
}
