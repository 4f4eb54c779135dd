import { mkdtemp, open, readdir, readFile, rm, rmdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from './blob-store.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { fileSystemError } from './fs-error.ts';
import { createFsBlobStore } from './fs.ts';
import { openBlobStore } from './open.ts';
import { renameInto } from './rename-into.ts';

blobStoreContract('fs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dailies-fs-'));
  return {
    store: await openBlobStore({ driver: 'fs', directory }),
    reopen: () => openBlobStore({ driver: 'fs', directory }),
    close: () => rm(directory, { recursive: true }),
  };
});

describe('the file system store', () => {
  let directory: string;
  let store: BlobStore;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dailies-fs-'));
    store = await createFsBlobStore({ directory });
  });
  afterEach(() => rm(directory, { recursive: true }));

  const put = (key: string, text: string): Promise<unknown> =>
    store.put(key, Readable.from([Buffer.from(text)], { objectMode: false }), {
      contentType: 'video/mp4',
      bytes: text.length,
      signal: new AbortController().signal,
    });

  it('keeps each file under its key, so that an operator finds and plays it', async () => {
    await put('vid_1/att_1.mp4', 'hello');
    expect(await readFile(join(directory, 'vid_1/att_1.mp4'), 'utf8')).toBe('hello');
  });

  it('leaves no upload behind after a failure, and no folder after a delete', async () => {
    await put('vid_1/att_1.mp4', 'hello');
    const short = Readable.from([Buffer.from('hell')], { objectMode: false });
    const signal = new AbortController().signal;
    await expect(store.put('vid_2/x', short, { contentType: 'video/mp4', bytes: 5, signal })).rejects.toThrow('4 of 5');
    expect(await readdir(join(directory, '.incoming'))).toEqual([]);
    await store.delete('vid_1/att_1.mp4');
    expect((await readdir(directory, { recursive: true })).sort()).toEqual(['.facts', '.incoming']);
  });

  it('removes uploads of dead processes at open when older than an hour, and no younger ones', async () => {
    const old = join(directory, '.incoming', 'old.part');
    await writeFile(old, 'x');
    await writeFile(join(directory, '.incoming', 'young.part'), 'x');
    const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60 * 1000);
    await utimes(old, minutesAgo(61), minutesAgo(61));
    await utimes(join(directory, '.incoming', 'young.part'), minutesAgo(59), minutesAgo(59));
    await createFsBlobStore({ directory });
    expect(await readdir(join(directory, '.incoming'))).toEqual(['young.part']);
  });

  it('gives the same ETag when its notes were lost or the files restored, and another when the bytes changed', async () => {
    await put('vid_1/a.mp4', 'hello');
    const before = await store.find('vid_1/a.mp4');
    await rm(join(directory, '.facts'), { recursive: true });
    expect(await store.find('vid_1/a.mp4')).toEqual(before);
    await writeFile(join(directory, '.facts', 'vid_1/a.mp4'), '{"sha');
    expect(await store.find('vid_1/a.mp4')).toEqual(before);
    await writeFile(join(directory, 'vid_1/a.mp4'), 'jello');
    expect((await store.find('vid_1/a.mp4'))?.etag).not.toBe(before?.etag);
  });

  it('refuses a key whose place is taken by a file or folder, and keeps both apart from missing', async () => {
    await put('a', 'file');
    await put('b/c', 'file');
    await expect(put('a/x', 'file')).rejects.toMatchObject({ reason: 'invalid_key' });
    await expect(put('b', 'file')).rejects.toMatchObject({ reason: 'invalid_key' });
    expect(await store.find('a/x')).toBeUndefined();
    expect(await store.find('b')).toBeUndefined();
    await expect(store.get('b', undefined, new AbortController().signal)).rejects.toMatchObject({ reason: 'missing' });
    expect(await readdir(join(directory, '.incoming'))).toEqual([]);
  });

  it('opens no directory that it cannot have', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(createFsBlobStore({ directory: join(directory, 'file') })).rejects.toMatchObject({
      name: 'StorageError',
    });
  });

  it('a file arrives even while deletes beside it keep removing its folder', async () => {
    const folder = join(directory, 'vid_1');
    let arrived = 0;
    const remover = (async () => {
      for (let removed = -1; arrived < 200;) {
        const gone =
          removed < arrived &&
          (await rmdir(folder).then(
            () => true,
            () => false,
          ));
        if (gone) removed = arrived;
        else await setImmediate();
      }
    })();
    for (; arrived < 200; arrived++) {
      await writeFile(join(directory, 'upload'), 'x');
      await renameInto(join(directory, 'upload'), join(folder, 'file'));
      await rm(join(folder, 'file'));
    }
    await remover;
    expect(arrived).toBe(200);
  });
});

describe('errors of the file system', () => {
  const reasonOf = (code: string): string =>
    fileSystemError(Object.assign(new Error(`${code}: /secret/path`), { code }), 'writing a file').reason;

  it('become reasons that say who has to act, without showing paths', () => {
    expect(['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EPERM', 'EIO'].map(reasonOf)).toEqual([
      'full',
      'full',
      'denied',
      'denied',
      'denied',
      'unavailable',
    ]);
    const error = fileSystemError(Object.assign(new Error('/secret/path'), { code: 'ENOSPC' }), 'writing a file');
    expect(error.message).toBe('Writing a file failed: the disk or its quota is full (ENOSPC).');
  });

  it('what a full device answers is reported as full', async ({ skip }) => {
    const handle = await open('/dev/full', 'w').catch(() => undefined);
    if (!handle) return skip('no /dev/full here');
    const failed: unknown = await handle.write(Buffer.from('x')).catch((error: unknown) => error);
    await handle.close();
    expect(fileSystemError(failed, 'writing a file').reason).toBe('full');
  });
});
