import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore, PutOptions } from './blob-store.ts';

/** A store to test, empty when it is made. */
export interface BlobStoreSubject {
  readonly store: BlobStore;
  /** A second store object over the same files, as after a restart. */
  reopen(): Promise<BlobStore>;
  close(): Promise<void>;
}

export interface ContractOptions {
  readonly skips?: readonly { readonly test: string; readonly reason: string }[];
}

/** What every driver of the BlobStore port must do. A fault found in one driver becomes a test here first. */
export function blobStoreContract(
  name: string,
  makeSubject: () => Promise<BlobStoreSubject>,
  { skips = [] }: ContractOptions = {},
): void {
  describe(`BlobStore contract: ${name}`, () => {
    let subject: BlobStoreSubject;
    let store: BlobStore;
    beforeEach(async () => {
      subject = await makeSubject();
      store = subject.store;
    });
    afterEach(() => subject.close());

    const known = new Set<string>();
    function rule(title: string, test: () => Promise<void>): void {
      known.add(title);
      const skip = skips.find((candidate) => candidate.test === title);
      const declare = it.skipIf(skip !== undefined);
      declare(skip ? `${title} (${skip.reason})` : title, test);
    }

    storing(rule, () => store);
    reading(rule, () => subject);
    failing(rule, () => store);
    refusing(rule, () => store);

    it('skips only tests that exist', () => {
      expect(skips.map(({ test }) => test).filter((test) => !known.has(test))).toEqual([]);
    });
  });
}

type Rule = (title: string, test: () => Promise<void>) => void;

function storing(rule: Rule, store: () => BlobStore): void {
  rule('a stored file comes back byte for byte, with its length, type and hash', async () => {
    const data = sample(300_000);
    const stored = await store().put('vid_1/att_1.mp4', inPieces(data), options(data));
    expect(stored).toMatchObject({ key: 'vid_1/att_1.mp4', bytes: 300_000, contentType: 'video/mp4' });
    expect(stored.sha256).toBe(sha256(data));
    expect(await contentOf(store(), 'vid_1/att_1.mp4')).toEqual(data);
    const { sha256: _, ...head } = stored;
    expect(await store().find('vid_1/att_1.mp4')).toEqual(head);
  });

  rule('an empty file is a file', async () => {
    await store().put('empty', inPieces(Buffer.alloc(0)), options(Buffer.alloc(0)));
    expect(await store().find('empty')).toMatchObject({ bytes: 0 });
    expect(await contentOf(store(), 'empty')).toHaveLength(0);
  });

  rule('putting a key again replaces the whole file and its validator', async () => {
    const first = await store().put('a/b', inPieces(sample(5000)), options(sample(5000)));
    const other = sample(5000, 7);
    const second = await store().put('a/b', inPieces(other), { ...options(other), contentType: 'image/png' });
    expect(second.etag).not.toBe(first.etag);
    expect(await contentOf(store(), 'a/b')).toEqual(other);
    expect(await store().find('a/b')).toMatchObject({ etag: second.etag, contentType: 'image/png' });
  });

  rule('parallel puts of one key leave one of them, whole', async () => {
    const versions = [1, 2, 3, 4].map((seed) => sample(200_000, seed));
    await Promise.all(versions.map((data) => store().put('a/same', inPieces(data), options(data))));
    const left = await contentOf(store(), 'a/same');
    expect(versions.some((data) => data.equals(left))).toBe(true);
    expect(await store().find('a/same')).toMatchObject({ etag: expect.stringMatching(/^".+"$/), bytes: 200_000 });
  });
}

function reading(rule: Rule, subject: () => BlobStoreSubject): void {
  rule('a range is read with both ends, at the start, inside and at the end', async () => {
    const { store } = subject();
    const data = sample(100_000);
    await store.put('r', inPieces(data), options(data));
    for (const [start, end] of [
      [0, 0],
      [10, 70_000],
      [99_999, 99_999],
      [0, 99_999],
    ] as const) {
      expect(await contentOf(store, 'r', { start, end })).toEqual(data.subarray(start, end + 1));
    }
  });

  rule('validator, length and type are the same after a restart', async () => {
    const data = sample(1000);
    const { etag } = await subject().store.put('k/1.mp4', inPieces(data), {
      ...options(data),
      contentType: 'text/x-own',
    });
    expect(etag).toMatch(/^"[^"]+"$/);
    const reopened = await subject().reopen();
    const head = await reopened.find('k/1.mp4');
    await reopened.close();
    expect(head).toEqual({ key: 'k/1.mp4', bytes: 1000, contentType: 'text/x-own', etag });
  });

  rule('a missing file is undefined to find and a typed error to get', async () => {
    const { store } = subject();
    expect(await store.find('no/such')).toBeUndefined();
    await expect(store.get('no/such', undefined, unending())).rejects.toMatchObject({ reason: 'missing' });
  });

  rule('aborting a read ends its stream', async () => {
    const { store } = subject();
    const data = sample(2_000_000);
    await store.put('big', inPieces(data), options(data));
    const abort = new AbortController();
    const stream = await store.get('big', undefined, abort.signal);
    abort.abort();
    await expect(stream.toArray()).rejects.toMatchObject({ name: 'AbortError' });
  });

  rule('list gives every key under a prefix and nothing else', async () => {
    const { store } = subject();
    for (const key of ['vid_1/a.mp4', 'vid_1/a.jpg', 'vid_10/a.mp4', 'vid_2/x/y.mp4']) await putSmall(store, key);
    expect(await keys(store, 'vid_1/')).toEqual(['vid_1/a.jpg', 'vid_1/a.mp4']);
    expect(await keys(store, 'vid_1')).toEqual(['vid_1/a.jpg', 'vid_1/a.mp4', 'vid_10/a.mp4']);
    expect(await keys(store, 'vid_2/x/y')).toEqual(['vid_2/x/y.mp4']);
    expect(await keys(store, '')).toHaveLength(4);
    expect(await keys(store, 'none/')).toEqual([]);
  });

  rule('a deleted file is gone, and deleting it again is no error', async () => {
    const { store } = subject();
    await putSmall(store, 'vid_1/a');
    await putSmall(store, 'vid_1/b');
    await store.delete('vid_1/a');
    await store.delete('vid_1/a');
    expect(await store.find('vid_1/a')).toBeUndefined();
    expect(await keys(store, '')).toEqual(['vid_1/b']);
  });
}

function failing(rule: Rule, store: () => BlobStore): void {
  rule('a stream that ends early or late is refused as incomplete and nothing becomes visible', async () => {
    for (const announced of [999, 1001]) {
      const put = store().put('x/wrong', inPieces(sample(1000)), { ...options(sample(1000)), bytes: announced });
      await expect(put).rejects.toMatchObject({ name: 'StorageError', reason: 'incomplete' });
      expect(await store().find('x/wrong')).toBeUndefined();
    }
    expect(await keys(store(), '')).toEqual([]);
  });

  rule('a stream that goes on after the announced length never was a file', async () => {
    let seen = 0;
    async function* tooMuch(): AsyncGenerator<Buffer> {
      yield sample(1000);
      // Time enough for a store that believes that it has everything.
      for (let look = 0; look < 20; look++) if (await store().find('x/more')) seen++;
      yield sample(1);
    }
    const put = store().put('x/more', Readable.from(tooMuch(), { objectMode: false }), options(sample(1000)));
    await expect(put).rejects.toMatchObject({ name: 'StorageError', reason: 'incomplete' });
    expect(seen).toBe(0);
    expect(await keys(store(), '')).toEqual([]);
  });

  rule('a stream that fails passes its own error on and nothing becomes visible', async () => {
    const failure = new Error('the source broke');
    await expect(store().put('x/broken', breaking(failure), options(sample(1000)))).rejects.toBe(failure);
    expect(await keys(store(), '')).toEqual([]);
  });

  rule('an upload is invisible until it is whole, and aborting it leaves nothing', async () => {
    const abort = new AbortController();
    const source = new Readable({ read: () => undefined });
    source.push(sample(100_000));
    const put = store().put('x/slow', source, { ...options(sample(200_000)), signal: abort.signal });
    while (source.readableLength > 0) await setImmediate();
    expect(await store().find('x/slow')).toBeUndefined();
    expect(await keys(store(), '')).toEqual([]);
    abort.abort();
    await expect(put).rejects.toMatchObject({ name: 'AbortError' });
    expect(source.destroyed).toBe(true);
    expect(await keys(store(), '')).toEqual([]);
  });

  rule('a failed replacement leaves the old file as it was', async () => {
    const old = sample(5000);
    const { etag } = await store().put('keep', inPieces(old), options(old));
    await expect(store().put('keep', breaking(new Error('no')), options(sample(9000)))).rejects.toThrow('no');
    expect(await contentOf(store(), 'keep')).toEqual(old);
    expect(await store().find('keep')).toMatchObject({ etag });
  });
}

function refusing(rule: Rule, store: () => BlobStore): void {
  const bad = [
    '',
    '/',
    '/etc/passwd',
    '..',
    '../x',
    'a/../../x',
    'a/..',
    './a',
    'a//b',
    'a/',
    'a\\..\\b',
    'a\0b',
    '.hidden/x',
  ];
  rule('a key that could leave the store is refused by every member', async () => {
    for (const key of [...bad, 'a/.hidden', 'a b', 'a%2f..', `${'a/'.repeat(300)}a`]) {
      const refused = { name: 'StorageError', reason: 'invalid_key' };
      await expect((async () => store().put(key, inPieces(sample(1)), options(sample(1))))()).rejects.toMatchObject(
        refused,
      );
      await expect((async () => store().get(key, undefined, unending()))()).rejects.toMatchObject(refused);
      await expect((async () => store().find(key))()).rejects.toMatchObject(refused);
      await expect((async () => store().delete(key))()).rejects.toMatchObject(refused);
    }
    for (const prefix of ['../', '/', '..', 'a//'])
      await expect(keys(store(), prefix)).rejects.toMatchObject({ reason: 'invalid_key' });
  });
}

function options(data: Buffer): PutOptions {
  return { contentType: 'video/mp4', bytes: data.length, signal: unending() };
}

const unending = (): AbortSignal => new AbortController().signal;

/** Bytes that differ everywhere, so that a shifted or repeated piece cannot pass. */
function sample(length: number, seed = 1): Buffer {
  const data = Buffer.alloc(length);
  for (let index = 0; index < length; index++) data[index] = (index * 31 + (index >> 8) * 17 + seed * 101) & 255;
  return data;
}

function inPieces(data: Buffer): Readable {
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < data.length; offset += 64_000) pieces.push(data.subarray(offset, offset + 64_000));
  return Readable.from(pieces, { objectMode: false });
}

function breaking(failure: Error): Readable {
  return Readable.from(
    (async function* () {
      yield sample(500);
      await setImmediate();
      throw failure;
    })(),
    { objectMode: false },
  );
}

async function putSmall(store: BlobStore, key: string): Promise<void> {
  await store.put(key, inPieces(sample(10)), options(sample(10)));
}

async function contentOf(store: BlobStore, key: string, range?: { start: number; end: number }): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of await store.get(key, range, unending())) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function keys(store: BlobStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const key of store.list(prefix)) found.push(key);
  return found.sort();
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
