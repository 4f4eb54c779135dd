import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startGcs, type GcsServer } from '../../../../test/servers/gcs.ts';
import { eventually, freePort } from '../../../../test/servers/spawn.ts';
import type { BlobStore } from './blob-store.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { startFileServer } from './file-server.testing.ts';
import { openBlobStore, type GcsConfig } from './open.ts';

const never = new AbortController().signal;
const put = (store: BlobStore, text: string, bytes = text.length, signal = never, key = 'vid_1/att_1.mp4') =>
  store.put(key, Readable.from([Buffer.from(text)]), { contentType: 'video/mp4', bytes, signal });

describe('Google Cloud Storage', () => {
  let server: GcsServer;
  const before = process.env['GOOGLE_APPLICATION_CREDENTIALS'];
  beforeAll(async () => {
    server = await startGcs();
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = server.credentialsFile;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env['GOOGLE_APPLICATION_CREDENTIALS'];
    else process.env['GOOGLE_APPLICATION_CREDENTIALS'] = before;
    await server.stop();
  });

  const makeConfig = (changes: Partial<GcsConfig> = {}): GcsConfig => ({
    driver: 'gcs',
    bucket: server.makeBucket(),
    prefix: '',
    projectId: null,
    endpoint: server.endpoint,
    ...changes,
  });
  async function open(changes: Partial<GcsConfig> = {}) {
    const config = makeConfig(changes);
    const store = await openBlobStore(config);
    onTestFinished(() => store.close());
    return { store, bucket: config.bucket };
  }

  blobStoreContract('gcs', async () => {
    const config = makeConfig({ prefix: 'team/films/' });
    const store = await openBlobStore(config);
    return { store, reopen: () => openBlobStore(config), close: () => store.close() };
  });

  it('an upload that fails or is aborted is canceled at the bucket', async () => {
    const { store, bucket } = await open();
    await expect(put(store, 'four', 5)).rejects.toMatchObject({ reason: 'incomplete' });
    expect(server.unfinishedUploads(bucket)).toEqual([]);
    const abort = new AbortController();
    const source = new Readable({ read: () => undefined });
    source.push('begun');
    const options = { contentType: 'video/mp4', bytes: 9, signal: abort.signal };
    const begun = store.put('vid_1/att_1.mp4', source, options);
    begun.catch(() => undefined);
    await eventually('the upload has begun', () => server.unfinishedUploads(bucket).length > 0);
    abort.abort(new Error('the worker stops'));
    await expect(begun).rejects.toThrow('the worker stops');
    expect(server.unfinishedUploads(bucket)).toEqual([]);
    expect(await store.find('vid_1/att_1.mp4')).toBeUndefined();
  });

  it('other bytes in the bucket than were sent are found out and removed', async () => {
    const { store, bucket } = await open();
    server.spoilNext(bucket);
    await expect(put(store, 'bytes')).rejects.toThrow('stored other bytes than were sent');
    expect(await store.find('vid_1/att_1.mp4')).toBeUndefined();
    const stored = await put(store, 'bytes');
    expect(stored.sha256).toBe(createHash('sha256').update('bytes').digest('hex'));
  });

  it('a bucket that denies writes says so, keeps its files readable, and takes files again when that was mended', async () => {
    const { store, bucket } = await open();
    const old = await put(store, 'old');
    server.denyWrites(bucket);
    await expect(put(store, 'new')).rejects.toMatchObject({
      name: 'StorageError',
      reason: 'denied',
      message: `Storing a file failed: the credentials may not do that in bucket ${bucket}; check their roles (HTTP 403).`,
    });
    expect(await store.find(old.key)).toMatchObject({ etag: old.etag });
    server.allowWrites(bucket);
    expect(await put(store, 'new')).toMatchObject({ bytes: 3 });
  });

  it('a link works without credentials, by range and under its name, for that file and that long only', async () => {
    const { store } = await open();
    await put(store, 'hello world');
    const ask = { expiresInSeconds: 60, fileName: 'film one.mp4' };
    const link = (await store.signGet('vid_1/att_1.mp4', ask)) ?? '';
    const answer = await fetch(link, { headers: { range: 'bytes=6-10' } });
    expect([answer.status, await answer.text()]).toEqual([206, 'world']);
    expect(answer.headers.get('content-disposition')).toBe('inline; filename="film one.mp4"');
    await put(store, 'other', 5, never, 'vid_2/att_1.mp4');
    expect((await fetch(link.replace('vid_1', 'vid_2'))).status).toBe(403);
    const short = (await store.signGet('vid_1/att_1.mp4', { ...ask, expiresInSeconds: 1 })) ?? '';
    await eventually('the link ends', async () => (await fetch(short)).status === 400);
    const longest = (await store.signGet('vid_1/att_1.mp4', { ...ask, expiresInSeconds: 10 ** 9 })) ?? '';
    const days = Number(new URL(longest).searchParams.get('X-Goog-Expires')) / 86_400;
    expect(days).toBeGreaterThan(6.99);
    expect(days).toBeLessThanOrEqual(7);
  });

  it('opening says what is wrong: no such bucket', async () => {
    await expect(openBlobStore(makeConfig({ bucket: 'not-here' }))).rejects.toMatchObject({
      reason: 'unavailable',
      message: expect.stringMatching(/^Opening the store failed: there is no bucket not-here at 127\.0\.0\.1:\d+/),
    });
  });

  it('opening says what is wrong: nobody answers there', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expect(openBlobStore(makeConfig({ endpoint }))).rejects.toMatchObject({
      reason: 'unavailable',
      message: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
    });
  });

  it('opening works for credentials that may not look at the bucket itself', async () => {
    const other = await startFileServer();
    onTestFinished(() => other.close());
    other.handler = (_request, response) => {
      response.writeHead(403, { 'content-type': 'application/json' }).end('{"error":{"code":403,"message":"denied"}}');
    };
    await open({ endpoint: other.origin });
  });
});
