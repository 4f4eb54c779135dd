import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { s3Config } from '../../../../test/servers/s3-config.ts';
import { missingS3, startS3, type S3Server } from '../../../../test/servers/s3.ts';
import { eventually, freePort } from '../../../../test/servers/spawn.ts';
import type { BlobStore } from './blob-store.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { startFileServer, type FileServer } from './file-server.testing.ts';
import { openBlobStore, type S3Config } from './open.ts';
import { openS3BlobStore } from './s3.ts';

const missing = missingS3();
const never = new AbortController().signal;
/** The least that S3 takes as a part. */
const partBytes = 5 * 1024 * 1024;

const pattern = Buffer.alloc(partBytes * 2 + 1_000, 'the same eleven and four more;');
const stream = (data: Buffer): Readable => Readable.from([data.subarray(0, 70_000), data.subarray(70_000)]);
const put = (store: BlobStore, data: Buffer, key = 'vid_1/att_1.mp4', signal = never) =>
  store.put(key, stream(data), { contentType: 'video/mp4', bytes: data.length, signal });

describe.skipIf(missing)(`S3, on Ceph's radosgw${missing ? ` (${missing})` : ''}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3();
  }, 120_000);
  afterAll(() => server.stop());

  async function makeConfig(changes: Partial<S3Config> = {}): Promise<S3Config> {
    const { endpoint, region, credentials } = server;
    return { ...s3Config(endpoint, await server.makeBucket(), credentials), region, ...changes };
  }

  /** A store that cuts files into the least parts. */
  async function openInParts(changes: Partial<S3Config> = {}) {
    const config = await makeConfig(changes);
    const store = await openS3BlobStore(config, { partBytes });
    onTestFinished(() => store.close());
    return { store, config };
  }

  blobStoreContract('s3', async () => {
    const config = await makeConfig({ prefix: 'team/films/' });
    const store = await openBlobStore(config);
    return { store, reopen: () => openBlobStore(config), close: () => store.close() };
  });

  it('a long file goes up in parts and comes back byte for byte', async () => {
    const { store } = await openInParts();
    const stored = await put(store, pattern);
    expect(stored.etag).toMatch(/^"[0-9a-f]{32}-3"$/);
    expect(stored.sha256).toBe(createHash('sha256').update(pattern).digest('hex'));
    expect((await buffer(await store.get(stored.key, undefined, never))).equals(pattern)).toBe(true);
    expect(await store.find(stored.key)).toMatchObject({ etag: stored.etag, bytes: pattern.length });
  });

  it.each([
    ['ends early', (): Readable => stream(pattern.subarray(0, -1)), { reason: 'incomplete' }],
    ['goes on', (): Readable => stream(Buffer.concat([pattern, pattern])), { reason: 'incomplete' }],
    ['breaks', (): Readable => broken(pattern.subarray(0, partBytes + 9)), { message: 'the source broke' }],
  ])('of a long stream that %s neither a file nor a part is left', async (_how, content, failure) => {
    const { store, config } = await openInParts();
    const options = { contentType: 'video/mp4', bytes: pattern.length, signal: never };
    await expect(store.put('x/long', content(), options)).rejects.toMatchObject(failure);
    expect(await keysOf(store)).toEqual([]);
    expect(await server.unfinishedUploads(config.bucket)).toEqual([]);
  });

  it('an upload in parts that is aborted, as by a worker that stops, leaves no part', async () => {
    const { store, config } = await openInParts();
    const abort = new AbortController();
    const source = new Readable({ read: () => undefined });
    source.push(pattern.subarray(0, partBytes + 9));
    const options = { contentType: 'video/mp4', bytes: pattern.length, signal: abort.signal };
    const begun = store.put('x/long', source, options);
    begun.catch(() => undefined);
    await eventually('the upload has begun', async () => (await server.unfinishedUploads(config.bucket)).length > 0);
    while (source.readableLength > 0) await setImmediate();
    abort.abort(new Error('the worker stops'));
    await expect(begun).rejects.toThrow('the worker stops');
    expect(await server.unfinishedUploads(config.bucket)).toEqual([]);
    expect(await keysOf(store)).toEqual([]);
  });

  it('memory does not grow with the files, however many go up at once', async () => {
    const script = new URL('s3.memory.testing.ts', import.meta.url).pathname;
    const { endpoint, credentials } = server;
    const place = [endpoint, await server.makeBucket(), credentials.accessKeyId, credentials.secretAccessKey];
    const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, ...place]);
    expect(Number(stdout)).toBeGreaterThanOrEqual(0);
    // Twenty-four files of 20 MB more are 480 MB.
    expect(Number(stdout)).toBeLessThan(64 * 1024 * 1024);
  }, 120_000);

  it('lists more files than one page holds', async () => {
    const { store } = await openInParts();
    const wanted = Array.from({ length: 1_003 }, (_, index) => `vid_${String(index).padStart(4, '0')}/1`);
    const waiting = [...wanted];
    const some = async (): Promise<void> => {
      for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await put(store, Buffer.alloc(0), key);
    };
    await Promise.all(Array.from({ length: 8 }, some));
    expect((await keysOf(store)).sort()).toEqual(wanted);
  }, 60_000);

  it('a link works without credentials, by range and under its name, for that file and that long only', async () => {
    const { store } = await openInParts();
    const stored = await put(store, pattern);
    const link = await store.signGet(stored.key, { expiresInSeconds: 60, fileName: 'film one.mp4' });
    const answer = await fetch(link ?? '', { headers: { range: 'bytes=10-19' } });
    expect(answer.status).toBe(206);
    expect(answer.headers.get('content-disposition')).toBe('inline; filename="film one.mp4"');
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(pattern.subarray(10, 20));
    await put(store, pattern.subarray(0, 9), 'vid_2/att_1.mp4');
    expect((await fetch((link ?? '').replace('vid_1', 'vid_2'))).status).toBe(403);
    const short = await store.signGet(stored.key, { expiresInSeconds: 1, fileName: 'film.mp4' });
    await eventually('the link ends', async () => (await fetch(short ?? '')).status === 403);
    const longest = await store.signGet(stored.key, { expiresInSeconds: 10 ** 9, fileName: 'film.mp4' });
    expect(new URL(longest ?? '').searchParams.get('X-Amz-Expires')).toBe(String(7 * 24 * 3_600));
  });

  it('links lead to where viewers reach the bucket', async () => {
    const { store } = await openInParts({ linkEndpoint: 'https://films.example' });
    const link = await store.signGet('vid_1/att_1.mp4', { expiresInSeconds: 60, fileName: 'film.mp4' });
    expect(new URL(link ?? '').origin).toBe('https://films.example');
  });

  it('a bucket that denies writes says so, keeps its files readable, and takes files again when that was mended', async () => {
    const { store, config } = await openInParts();
    const old = await put(store, Buffer.from('old'));
    await server.denyWrites(config.bucket);
    for (const data of [Buffer.from('new'), pattern]) {
      const refused = { name: 'StorageError', reason: 'denied', message: expect.stringContaining(config.bucket) };
      await expect(put(store, data)).rejects.toMatchObject(refused);
    }
    expect(await store.find(old.key)).toMatchObject({ etag: old.etag });
    const whileDenied = await openBlobStore(config);
    await whileDenied.close();
    await server.allowWrites(config.bucket);
    expect(await put(store, Buffer.from('new'))).toMatchObject({ bytes: 3 });
  });

  it('a quota that is used up is told as full', async () => {
    const { store } = await openInParts();
    onTestFinished(() => server.limitBytes(null));
    await server.limitBytes(1_024);
    const { reason, message } = await eventually('the quota is felt', () =>
      put(store, Buffer.alloc(4_096)).then(
        () => undefined,
        (error: { readonly reason: string; readonly message: string }) => error,
      ),
    );
    expect({ reason, message }).toEqual({
      reason: 'full',
      message: expect.stringMatching(/quota of its owner is full \(QuotaExceeded, HTTP 403\)/),
    });
  });

  it.each([
    ['no such bucket', { bucket: 'not-here' }, 'unavailable', /there is no bucket not-here/],
    [
      'an unknown key',
      { credentials: credentialsOf('nobody', 'nothing') },
      'denied',
      /does not accept the credentials/,
    ],
    ['a wrong secret', { credentials: credentialsOf('owner-key', 'wrong-secret') }, 'denied', /not accept the cred/],
  ] as const)('opening says what is wrong: %s', async (_what, changes, reason, message) => {
    const config = { ...(await makeConfig()), ...changes };
    const failure = await openBlobStore(config).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ name: 'StorageError', reason, message: expect.stringMatching(message) });
    expect(String(failure)).not.toMatch(/wrong-secret|owner-key|nobody/);
  });

  it('opening works for credentials that may not look at the bucket itself', async () => {
    const { accessKeyId, secretAccessKey } = server.stranger;
    const store = await openBlobStore(await makeConfig({ credentials: credentialsOf(accessKeyId, secretAccessKey) }));
    await expect(put(store, Buffer.from('x'))).rejects.toMatchObject({ reason: 'denied' });
    await store.close();
  });
});

describe('an S3 store whose server', () => {
  let server: FileServer;
  beforeAll(async () => {
    server = await startFileServer();
  });
  afterAll(() => server.close());
  const open = (changes: Partial<S3Config> = {}): Promise<BlobStore> =>
    openBlobStore({
      ...s3Config(server.origin, 'films', { accessKeyId: 'id', secretAccessKey: 'se-cret' }),
      ...changes,
    });

  it('is in another region is told apart from one that refuses', async () => {
    server.handler = (request, response) => {
      const error = '<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>';
      response.writeHead(400, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? undefined : error);
    };
    await expect(open()).rejects.toMatchObject({
      reason: 'unavailable',
      message: expect.stringContaining('bucket films is not in the region us-east-1'),
    });
  });

  it('stores other bytes than were sent is found out, and the file is removed again', async () => {
    const seen: string[] = [];
    server.handler = (request, response) => {
      seen.push(request.method ?? '');
      request.resume().once('end', () => {
        response.writeHead(200, { etag: '"00000000000000000000000000000000"' });
        response.end(request.method === 'GET' ? 'othér' : undefined);
      });
    };
    const store = await open();
    await expect(put(store, Buffer.from('bytes'))).rejects.toThrow('gave back other bytes');
    expect(seen).toEqual(['HEAD', 'PUT', 'GET', 'DELETE']);
  });

  it('reports an ETag of a rule of its own is believed after reading the file back', async () => {
    server.handler = (request, response) => {
      request.resume().once('end', () => {
        response.writeHead(200, { etag: '"of-its-own"' }).end(request.method === 'GET' ? 'bytes' : undefined);
      });
    };
    const store = await open({ encryption: 'aws:kms', kmsKeyId: 'key-1' });
    expect(await put(store, Buffer.from('bytes'))).toMatchObject({ etag: '"of-its-own"' });
    const sent = server.requests.filter(({ method }) => method === 'PUT').at(-1)?.headers;
    expect(sent).toMatchObject({
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
      'content-length': '5',
    });
  });

  it('cannot be reached is named by its host, without a key', async () => {
    const port = await freePort();
    await expect(open({ endpoint: `http://127.0.0.1:${port}` })).rejects.toMatchObject({
      reason: 'unavailable',
      message: `Opening the store failed: 127.0.0.1:${port} cannot be reached (ECONNREFUSED).`,
    });
  });
});

async function keysOf(store: BlobStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list('')) keys.push(key);
  return keys;
}

function credentialsOf(accessKeyId: string, secretAccessKey: string): S3Config['credentials'] {
  return { accessKeyId, secretAccessKey: new Secret(secretAccessKey) };
}

function broken(data: Buffer): Readable {
  return Readable.from(
    (async function* () {
      yield data;
      await setImmediate();
      throw new Error('the source broke');
    })(),
  );
}
