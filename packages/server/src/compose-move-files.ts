import { createHash } from 'node:crypto';
import type { AdminOptions } from './compose-admin.ts';
import type { Database } from './db/database.ts';
import type { BlobHead, BlobStore } from './storage/blob-store.ts';
import { openBlobStore, type BlobStoreConfig } from './storage/open.ts';
import { StorageError } from './storage/storage-error.ts';

export interface CopiedFiles {
  readonly copied: number;
  /** Had arrived in an earlier try, and are the same by their SHA-256. */
  readonly found: number;
  readonly bytes: number;
}

/**
 * Copies every stored file and poster, under the same keys. What an earlier try brought is compared instead.
 * @throws Error naming a file that is missing in the folder or is not the one of the database; StorageError
 */
export async function copyFiles(
  database: Database,
  source: BlobStoreConfig,
  target: BlobStore,
  { signal, out }: Pick<AdminOptions, 'signal' | 'out'>,
): Promise<CopiedFiles> {
  const from = await openBlobStore(source);
  const done = { copied: 0, found: 0, bytes: 0 };
  try {
    const rows = await database.kysely
      .selectFrom('files')
      .select(['storage_key', 'sha256', 'poster_key'])
      .where('state', '=', 'stored')
      .orderBy('id')
      .execute();
    const wanted = rows.flatMap(({ storage_key: key, sha256, poster_key: poster }) => [
      { key, sha256 },
      ...(poster === null ? [] : [{ key: poster, sha256: null }]),
    ]);
    out(`Copying ${wanted.length} files.`);
    for (const { key, sha256 } of wanted) {
      signal.throwIfAborted();
      const bytes = await copyFile(from, target, { key, sha256 }, signal);
      if (bytes === null) done.found++;
      else {
        done.copied++;
        done.bytes += bytes;
      }
    }
    return done;
  } finally {
    await from.close();
  }
}

/** @param file.sha256 what the database says; null for a poster. @returns null when it was there already */
async function copyFile(
  from: BlobStore,
  target: BlobStore,
  { key, sha256 }: { readonly key: string; readonly sha256: string | null },
  signal: AbortSignal,
): Promise<number | null> {
  const head = await from.find(key);
  if (!head) throw new Error(`The file ${key} of the database is not in the folder.`);
  const expected = sha256 ?? (await hashOf(from, key, signal));
  const there = await lookAt(target, key);
  if (there?.bytes === head.bytes && (await hashOf(target, key, signal)) === expected) return null;
  const { contentType, bytes } = head;
  const put = await target.put(key, await from.get(key, undefined, signal), { contentType, bytes, signal });
  if (put.sha256 !== expected) {
    await target.delete(key);
    throw new Error(`The file ${key} in the folder is not the one that the database names by its SHA-256.`);
  }
  return bytes;
}

/** Credentials that may not list a bucket are forbidden to look at what is not there; if they may not write either, that is said then. */
async function lookAt(store: BlobStore, key: string): Promise<BlobHead | undefined> {
  try {
    return await store.find(key);
  } catch (error) {
    if (error instanceof StorageError && error.reason === 'denied') return undefined;
    throw error;
  }
}

async function hashOf(store: BlobStore, key: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await store.get(key, undefined, signal)) hash.update(chunk);
  return hash.digest('hex');
}
