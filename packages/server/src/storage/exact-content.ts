import { createHash } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { StorageError } from './storage-error.ts';

/** A stream on its way into a store, passed on only as what was announced. */
export interface ExactContent {
  /**
   * The next bytes, `length` of them or as many as are left. One slice after the other: each begins where the one before ended.
   * It throws StorageError `incomplete` for a stream of another length, what the stream throws, or the signal's reason.
   */
  slice(length: number): AsyncGenerator<Buffer>;
  /** What a slice threw; undefined when none did. */
  failure(): unknown;
  /** Hex SHA-256 of everything; call it once, when all slices have ended. */
  sha256(): string;
}

/**
 * Checks and hashes a stream in passing, without collecting it. Its last piece is given out only after the stream has ended
 * at the announced length: a store that waits for that many bytes never gets them all from a stream that is too long or fails.
 */
export function exactContent(
  content: Readable,
  { bytes, signal }: { readonly bytes: number; readonly signal: AbortSignal },
): ExactContent {
  const hash = createHash('sha256');
  const pieces = checkedPieces(content, bytes, signal);
  let rest: Buffer = Buffer.alloc(0);
  let failure: unknown;
  async function take(): Promise<boolean> {
    try {
      const next = await pieces.next();
      if (next.done) return false;
      rest = next.value;
      hash.update(rest);
      return true;
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  return {
    async *slice(length) {
      for (let left = length; left > 0;) {
        if (rest.length === 0 && !(await take())) return;
        const piece = rest.subarray(0, left);
        rest = rest.subarray(piece.length);
        left -= piece.length;
        yield piece;
      }
      // A stream longer than announced shows itself only here when it was announced as empty.
      if (bytes === 0) await take();
    },
    failure: () => failure,
    sha256: () => hash.digest('hex'),
  };
}

async function* checkedPieces(content: Readable, bytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  signal.throwIfAborted();
  let seen = 0;
  let held: Buffer | undefined;
  for await (const chunk of addAbortSignal(signal, content)) {
    const data: Buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    seen += data.length;
    if (seen > bytes) throw new StorageError('incomplete', `The file is longer than the ${bytes} bytes announced.`);
    if (held) yield held;
    held = data;
  }
  if (seen !== bytes) throw new StorageError('incomplete', `The file ended after ${seen} of ${bytes} bytes.`);
  if (held) yield held;
}
