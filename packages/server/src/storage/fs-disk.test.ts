import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingSmallDisk, startSmallDisk, type SmallDisk } from '../../../../test/servers/small-disk.ts';
import type { BlobStore } from './blob-store.ts';
import { createFsBlobStore } from './fs.ts';

const missing = await missingSmallDisk();
const mega = 1024 * 1024;

describe.skipIf(missing)(`the file system store on a small disk${missing ? ` (${missing})` : ''}`, () => {
  let disk: SmallDisk;
  let store: BlobStore;
  beforeEach(async () => {
    disk = await startSmallDisk({ bytes: 8 * mega });
    store = await createFsBlobStore({ directory: join(disk.path, 'files') });
  });
  afterEach(() => disk.stop());

  const put = (key: string, bytes: number) => {
    const pieces = Array.from({ length: bytes / mega }, () => Buffer.alloc(mega, key));
    const signal = new AbortController().signal;
    return store.put(key, Readable.from(pieces), { contentType: 'video/mp4', bytes, signal });
  };
  const leftovers = () => readdir(join(disk.path, 'files', '.incoming'));

  it('a disk that fills up says so, gives its space back and takes the file once there is room', async () => {
    await put('a.mp4', 5 * mega);
    await expect(put('b.mp4', 4 * mega)).rejects.toMatchObject({
      name: 'StorageError',
      reason: 'full',
      message: 'Writing a file failed: the disk or its quota is full (ENOSPC).',
    });
    expect(await leftovers()).toEqual([]);
    expect(await store.find('b.mp4')).toBeUndefined();
    await put('c.mp4', 2 * mega);
    await store.delete('a.mp4');
    expect(await put('b.mp4', 4 * mega)).toMatchObject({ bytes: 4 * mega });
  });

  it('a disk without room for even a name says that it is full, and still serves and deletes', async () => {
    await put('a.mp4', 4 * mega);
    const filler = join(disk.path, 'filler');
    await writeFile(filler, Buffer.alloc(8 * mega)).catch(() => undefined);
    await expect(put('b.mp4', mega)).rejects.toMatchObject({ reason: 'full' });
    expect(await store.find('a.mp4')).toMatchObject({ bytes: 4 * mega });
    await rm(filler);
    expect(await put('b.mp4', mega)).toMatchObject({ bytes: mega });
  });

  it('a disk that takes no writes is told as denied, and still serves', async () => {
    await put('a.mp4', mega);
    await disk.forbidWrites();
    await expect(put('b.mp4', mega)).rejects.toMatchObject({
      reason: 'denied',
      message: 'Creating a file failed: the process may not write or read there (EROFS).',
    });
    expect(await store.find('a.mp4')).toMatchObject({ bytes: mega });
    await disk.allowWrites();
    expect(await put('b.mp4', mega)).toMatchObject({ bytes: mega });
  });
});
