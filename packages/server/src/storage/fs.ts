import { createHash, randomUUID } from 'node:crypto';
import { access, constants, mkdir, open, readdir, rm, rmdir, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { checkBlobKey, checkBlobPrefix } from './blob-key.ts';
import type { BlobHead, BlobStore, PutOptions, PutResult } from './blob-store.ts';
import { fileSystemError, hasCode } from './fs-error.ts';
import { createFsFacts, type FsFacts } from './fs-facts.ts';
import { renameInto } from './rename-into.ts';
import { StorageError } from './storage-error.ts';

/** An upload that was not touched for so long belongs to a process that died. */
const leftoverAgeMs = 60 * 60 * 1000;

/**
 * Opens a store in a directory, which is created when it is missing: `<directory>/<key>` is the file itself. Uploads grow in
 * `.incoming` on the same file system and appear by one rename, after their bytes were synced, read back and compared; what
 * dead processes left there is removed after an hour. `.facts` remembers each file's SHA-256, so that its ETag is the same
 * after every restart.
 * @throws StorageError when the directory cannot be used
 */
export async function createFsBlobStore(options: { readonly directory: string }): Promise<BlobStore> {
  const directory = resolve(options.directory);
  const incoming = join(directory, '.incoming');
  const facts = createFsFacts(join(directory, '.facts'));
  const pathOf = (key: string): string => {
    checkBlobKey(key);
    return join(directory, key);
  };
  try {
    await mkdir(incoming, { recursive: true });
    await removeLeftovers(incoming);
  } catch (error) {
    throw fileSystemError(error, 'opening the store');
  }

  async function find(key: string): Promise<BlobHead | undefined> {
    const path = pathOf(key);
    try {
      const { bytes, sha256, contentType } = await facts.of(key, path);
      return { key, bytes, contentType, etag: `"${sha256}"` };
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
      throw fileSystemError(error, 'looking at a file');
    }
  }

  return {
    put: (key, content, putOptions) => {
      const upload = { key, path: pathOf(key), temporary: join(incoming, `${randomUUID()}.part`) };
      return put(upload, content, putOptions, { directory, facts });
    },
    async get(key, range, signal) {
      signal.throwIfAborted();
      const handle = await openForReading(key, pathOf(key));
      return addAbortSignal(signal, handle.createReadStream(range ? { start: range.start, end: range.end } : {}));
    },
    find,
    async delete(key) {
      const path = pathOf(key);
      try {
        await rm(path, { force: true });
        await facts.forget(key);
        await removeEmptyParents(directory, key);
      } catch (error) {
        if (!hasCode(error, 'ENOTDIR')) throw fileSystemError(error, 'deleting a file');
      }
    },
    list(prefix) {
      checkBlobPrefix(prefix);
      return walk(directory, prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix);
    },
    signGet: () => Promise.resolve(undefined),
    async check() {
      try {
        await access(incoming, constants.W_OK);
      } catch (error) {
        throw fileSystemError(error, 'looking at the store');
      }
    },
    close: () => Promise.resolve(),
  };
}

interface Upload {
  readonly key: string;
  readonly path: string;
  readonly temporary: string;
}

async function put(
  upload: Upload,
  content: Readable,
  options: PutOptions,
  store: { readonly directory: string; readonly facts: FsFacts },
): Promise<PutResult> {
  const { key, path, temporary } = upload;
  try {
    const sha256 = await writeFile(temporary, content, options);
    try {
      await store.facts.remember(key, temporary, { sha256, contentType: options.contentType });
      await renameDurably(temporary, path, store.directory);
    } catch (error) {
      throw fileSystemError(error, 'storing a file');
    }
    return { key, bytes: options.bytes, contentType: options.contentType, etag: `"${sha256}"`, sha256 };
  } catch (error) {
    content.destroy();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes, syncs and reads back a new file. @returns the SHA-256 of what the file holds */
async function writeFile(path: string, content: Readable, options: PutOptions): Promise<string> {
  options.signal.throwIfAborted();
  const source = addAbortSignal(options.signal, content);
  let handle: FileHandle;
  try {
    handle = await open(path, 'wx+', 0o640);
  } catch (error) {
    throw fileSystemError(error, 'creating a file');
  }
  try {
    const sent = await writeContent(handle, source, options.bytes);
    const stored = await readBack(handle);
    if (sent !== stored) throw new StorageError('unavailable', 'The disk gave back other bytes than were written.');
    return stored;
  } finally {
    await handle.close();
  }
}

async function writeContent(handle: FileHandle, source: Readable, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  let written = 0;
  for await (const chunk of source) {
    const data: Buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (written + data.length > bytes) {
      throw new StorageError('incomplete', `The file is longer than the ${bytes} bytes announced.`);
    }
    hash.update(data);
    await writeAll(handle, data);
    written += data.length;
  }
  if (written !== bytes) throw new StorageError('incomplete', `The file ended after ${written} of ${bytes} bytes.`);
  try {
    await handle.sync();
  } catch (error) {
    throw fileSystemError(error, 'writing a file');
  }
  return hash.digest('hex');
}

async function writeAll(handle: FileHandle, data: Buffer): Promise<void> {
  try {
    for (let offset = 0; offset < data.length;) {
      const { bytesWritten } = await handle.write(data, offset, data.length - offset);
      offset += bytesWritten;
    }
  } catch (error) {
    throw fileSystemError(error, 'writing a file');
  }
}

async function readBack(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(64 * 1024);
  try {
    for (let position = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } catch (error) {
    throw fileSystemError(error, 'reading a file back');
  }
}

/** After this the name survives a power cut, as far as the disk keeps its promises. */
async function renameDurably(from: string, to: string, root: string): Promise<void> {
  const parent = dirname(to);
  await renameInto(from, to);
  for (let folder = parent; folder !== root; folder = dirname(folder)) await syncDirectory(folder);
  await syncDirectory(root);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a directory; there the rename is as durable as they make it.
    if (!hasCode(error, 'EINVAL', 'EPERM', 'ENOTSUP', 'EISDIR')) throw error;
  } finally {
    await handle.close();
  }
}

async function openForReading(key: string, path: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
  } catch (error) {
    await handle?.close();
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw fileSystemError(error, 'reading a file');
  }
  await handle?.close();
  throw new StorageError('missing', `There is no file ${JSON.stringify(key)} in the store.`);
}

async function removeEmptyParents(root: string, key: string): Promise<void> {
  for (let folder = dirname(key); folder !== '.'; folder = dirname(folder)) {
    try {
      await rmdir(join(root, folder));
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) return;
      throw error;
    }
  }
}

async function removeLeftovers(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs > leftoverAgeMs) await rm(path, { force: true });
  }
}

async function* walk(root: string, folder: string, prefix: string): AsyncGenerator<string> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw fileSystemError(error, 'listing files');
  });
  for (const entry of entries) {
    const key = folder + entry.name;
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) yield* walk(root, `${key}/`, prefix);
    } else if (key.startsWith(prefix)) yield key;
  }
}
