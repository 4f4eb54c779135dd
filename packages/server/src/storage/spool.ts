import { randomUUID } from 'node:crypto';
import { mkdir, open, statfs, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { fileSystemError } from './fs-error.ts';
import { StorageError } from './storage-error.ts';

/** What a spool leaves free on its disk for everybody else. */
const reserveBytes = 256 * 1024 * 1024;
/** How much is written between two looks at the free space. */
const lookEveryBytes = 16 * 1024 * 1024;

/** A file of no name: whatever ends the process also frees its space. */
export interface Spool {
  /**
   * Takes a whole stream; once only.
   * @throws StorageError `full` before the disk is, or what the stream throws
   */
  fill(
    content: Readable,
    options: { readonly expectedBytes: number | null; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Random reads of what was taken, both ends included. */
  source(): {
    readonly size: number;
    readonly read: (start: number, end: number) => Promise<Uint8Array>;
    readonly stream: (start: number, end: number) => Promise<Readable>;
  };
  close(): Promise<void>;
}

/** Opens an empty spool on the disk of a directory, which is created when it is missing. */
export async function openSpool(directory: string): Promise<Spool> {
  const handle = await createNameless(directory);
  let size = 0;

  async function checkSpace(needed: number): Promise<void> {
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize < needed + reserveBytes) {
      throw new StorageError('full', `The spool's disk has too little space left for ${needed} more bytes.`);
    }
  }

  return {
    async fill(content, { expectedBytes, signal }) {
      try {
        signal.throwIfAborted();
        await checkSpace(expectedBytes ?? lookEveryBytes);
        let nextLook = lookEveryBytes;
        for await (const chunk of addAbortSignal(signal, content)) {
          const data: Buffer = chunk;
          await append(handle, data, size);
          size += data.length;
          if (size >= nextLook) {
            nextLook += lookEveryBytes;
            await checkSpace(Math.max((expectedBytes ?? 0) - size, lookEveryBytes));
          }
        }
      } finally {
        content.destroy();
      }
    },
    source: () => ({
      size,
      read: (start, end) => readExactly(handle, start, end),
      stream: (start, end) =>
        Promise.resolve(handle.createReadStream({ start, end, autoClose: false, highWaterMark: 256 * 1024 })),
    }),
    close: () => handle.close(),
  };
}

async function createNameless(directory: string): Promise<FileHandle> {
  try {
    await mkdir(directory, { recursive: true });
    const path = join(directory, `${randomUUID()}.spool`);
    const handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return handle;
  } catch (error) {
    throw fileSystemError(error, 'creating a spool file');
  }
}

async function append(handle: FileHandle, data: Buffer, position: number): Promise<void> {
  try {
    for (let offset = 0; offset < data.length;) {
      offset += (await handle.write(data, offset, data.length - offset, position + offset)).bytesWritten;
    }
  } catch (error) {
    throw fileSystemError(error, 'writing a spool file');
  }
}

async function readExactly(handle: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(end - start + 1);
  for (let offset = 0; offset < buffer.length;) {
    const { bytesRead } = await handle.read(buffer, offset, buffer.length - offset, start + offset);
    if (bytesRead === 0) throw new StorageError('unavailable', 'The spool file lost its end.');
    offset += bytesRead;
  }
  return buffer;
}
