import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DownloadError, type DownloadFailure } from './download-error.ts';
import { createDownloadLookup } from './download-policy.ts';
import type { Downloader, RemoteFile } from './download.ts';
import { createTestDownloader, serveFile, startFileServer, type FileServer } from './file-server.testing.ts';

const secret = '?ksSecret=s3cr3t&ksTime=694fa816';
const data = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
const signal = new AbortController().signal;

let server: FileServer;
let downloader: Downloader;
beforeEach(async () => {
  server = await startFileServer();
  server.handler = serveFile(data);
  downloader = createTestDownloader(server);
});
afterEach(async () => {
  await downloader.close();
  await server.close();
});

const open = (address = `${server.origin}/video.mp4${secret}`): Promise<RemoteFile> =>
  downloader.open(address, { signal });

/** The reason of a failure, which must not show the signed address anywhere. */
async function reasonOf(work: Promise<unknown>): Promise<DownloadFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DownloadError)) throw new Error('expected a DownloadError', { cause: error });
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    expect(cause.message + JSON.stringify(cause)).not.toMatch(/s3cr3t|video\.mp4/);
  }
  return error.reason;
}

async function contentOf(file: RemoteFile, start?: number, end?: number): Promise<Buffer> {
  return Buffer.concat(await (await file.stream(start, end)).toArray());
}

describe('a guarded download', () => {
  it('looks at a file, then reads parts and the whole of it', async () => {
    const file = await open();
    expect(file).toMatchObject({ size: 200_000, etag: '"one"', acceptsRanges: true, host: '127.0.0.1' });
    expect(await file.read(0, 0)).toEqual(data.subarray(0, 1));
    expect(await file.read(150_000, 199_999)).toEqual(data.subarray(150_000));
    expect(await contentOf(file, 100, 199_000)).toEqual(data.subarray(100, 199_001));
    expect(await contentOf(file)).toEqual(data);
    await expect(file.read(0, 200_000)).rejects.toThrow(RangeError);
  });

  it('tells when a server knows no ranges or no length', async () => {
    server.handler = serveFile(data, { ranges: false, length: false, etag: null });
    const file = await open();
    expect(file).toMatchObject({ size: null, etag: null, acceptsRanges: false });
    expect(await contentOf(file)).toEqual(data);
    await expect(file.read(0, 5)).rejects.toThrow(TypeError);
  });

  it('takes a file of unknown length as a whole, even from a server with ranges', async () => {
    const whole = serveFile(data, { ranges: false, length: false });
    server.handler = (request, response) => {
      if (request.headers.range === undefined) whole(request, response);
      else response.writeHead(206, { 'content-range': 'bytes 0-0/*', etag: '"one"' }).end(data.subarray(0, 1));
    };
    const file = await open();
    expect(file).toMatchObject({ size: null, acceptsRanges: false });
    expect(await contentOf(file)).toEqual(data);
  });

  it('sends nothing that says who asks', async () => {
    await open();
    expect(Object.keys(server.requests[0]!.headers).sort()).toEqual([
      'accept-encoding',
      'connection',
      'host',
      'range',
      'user-agent',
    ]);
  });

  it.each([
    [401, 'expired'],
    [403, 'expired'],
    [404, 'missing'],
    [410, 'missing'],
    [500, 'unavailable'],
    [429, 'unavailable'],
    [304, 'unavailable'],
  ] as const)('HTTP %i is %s', async (status, reason) => {
    server.handler = (_request, response) => void response.writeHead(status).end('<html>');
    expect(await reasonOf(open())).toBe(reason);
  });

  it('a host that cannot be reached is unavailable', async () => {
    const { origin } = server;
    await server.close();
    expect(await reasonOf(open(`${origin}/video.mp4${secret}`))).toBe('unavailable');
  });

  it('a file over the cap is refused, announced or not', async () => {
    await downloader.close();
    downloader = createTestDownloader(server, { maxBytes: 199_999 });
    expect(await reasonOf(open())).toBe('too_large');
    server.handler = serveFile(data, { ranges: false, length: false });
    expect(await reasonOf(open().then((file) => contentOf(file)))).toBe('too_large');
  });
});

describe('a file that changes or breaks', () => {
  it('is an error when its ETag changes, in ranges and as a whole', async () => {
    const file = await open();
    server.handler = serveFile(data, { etag: '"two"' });
    expect(await reasonOf(file.read(0, 9))).toBe('changed');
    expect(server.requests.at(-1)?.headers['if-range']).toBe('"one"');
    expect(await reasonOf(file.stream())).toBe('changed');
  });

  it('is an error when a server ignores If-Range, or has another length', async () => {
    const file = await open();
    server.handler = (_request, response) =>
      void response.writeHead(206, { 'content-range': 'bytes 0-9/200000', etag: '"two"' }).end(data.subarray(0, 10));
    expect(await reasonOf(file.read(0, 9))).toBe('changed');
    server.handler = serveFile(data.subarray(1));
    expect(await reasonOf(file.read(0, 9))).toBe('changed');
    expect(await reasonOf(file.stream())).toBe('changed');
  });

  it('is an error when the server sends another range than asked for', async () => {
    const file = await open();
    server.handler = (_request, response) =>
      void response.writeHead(206, { 'content-range': 'bytes 5-14/200000', etag: '"one"' }).end(data.subarray(5, 15));
    expect(await reasonOf(file.read(0, 9))).toBe('incomplete');
  });

  it('is incomplete when the connection breaks, or chunks end early or late', async () => {
    const file = await open();
    server.handler = serveFile(data, {
      write: (response, body) => void response.write(body.subarray(0, 1000), () => response.destroy()),
    });
    expect(await reasonOf(contentOf(file, 0, 199_999))).toBe('incomplete');
    for (const body of [data.subarray(1), Buffer.concat([data, data])]) {
      server.handler = (_request, response) => void response.writeHead(200, { etag: '"one"' }).end(body);
      expect(await reasonOf(contentOf(file))).toBe('incomplete');
    }
  });

  it('is unavailable when a server falls silent, in the headers or in the body', async () => {
    await downloader.close();
    downloader = createTestDownloader(server, { idleTimeoutMs: 200 });
    const file = await open();
    server.handler = serveFile(data, { write: (response, body) => void response.write(body.subarray(0, 1000)) });
    expect(await reasonOf(contentOf(file))).toBe('unavailable');
    server.handler = () => undefined;
    expect(await reasonOf(open())).toBe('unavailable');
  });

  it('keeps its failure for a reader who comes late', async () => {
    const file = await open();
    server.handler = serveFile(data, {
      write: (response, body) => void response.write(body.subarray(0, 1000), () => response.destroy()),
    });
    const stream = await file.stream();
    while (!stream.errored) await setImmediate();
    await setImmediate();
    expect(await reasonOf(stream.toArray())).toBe('incomplete');
  });

  it('is not taken in an encoding that hides its length', async () => {
    server.handler = (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
    expect(await reasonOf(open())).toBe('unavailable');
  });
});

describe('aborting', () => {
  it('ends a read with the reason given, and its connection', async () => {
    const abort = new AbortController();
    const file = await downloader.open(`${server.origin}/video.mp4`, { signal: abort.signal });
    let closed: Promise<unknown> = Promise.resolve();
    server.handler = serveFile(data, {
      write: (response, body) => {
        closed = new Promise((resolve) => response.once('close', resolve));
        response.write(body.subarray(0, 1000));
      },
    });
    const stream = await file.stream();
    const reason = new Error('shutting down');
    stream.once('data', () => abort.abort(reason));
    await expect(stream.toArray()).rejects.toBe(reason);
    await closed;
    await expect(file.read(0, 1)).rejects.toBe(reason);
  });

  it('a destroyed stream closes its connection', async () => {
    const file = await open();
    let closed: Promise<unknown> = Promise.resolve();
    server.handler = serveFile(data, {
      write: (response, body) => {
        closed = new Promise((resolve) => response.once('close', resolve));
        response.write(body.subarray(0, 1000));
      },
    });
    (await file.stream()).destroy();
    await expect(closed).resolves.toBeUndefined();
  });
});

describe('where a download may go', () => {
  it.each([
    'http://v15-kling-fdl.klingai.com/a',
    'ftp://v15-kling-fdl.klingai.com/a',
    'file:///etc/passwd',
    'data:text/plain,x',
    'https://v15-kling-fdl.klingai.com:8443/a',
    'https://user:pass@v15-kling-fdl.klingai.com/a',
    'https://klingai.com/a',
    'https://evilklingai.com/a',
    'https://klingai.com.evil.example/a',
    'https://localhost/a',
    'https://127.0.0.1/a',
    'https://2130706433/a',
    'https://[::1]/a',
    'https://[::ffff:127.0.0.1]/a',
    'http://169.254.169.254/latest/meta-data/',
    'not an address',
  ])('%s is refused without a request', async (address) => {
    expect(await reasonOf(open(address))).toBe('refused_by_policy');
  });

  it('an allowed address literal must still be public', async () => {
    await downloader.close();
    downloader = createTestDownloader(server, { allowedHosts: ['127.0.0.1', '[::1]', '10.0.0.1'], trustedOrigins: [] });
    for (const host of ['127.0.0.1', '[::1]', '10.0.0.1']) {
      expect(await reasonOf(open(`https://${host}/a`))).toBe('refused_by_policy');
    }
  });

  it('trust in one origin is no trust in another port or scheme of its host', async () => {
    const port = Number(new URL(server.origin).port);
    for (const address of [
      `http://127.0.0.1:${port + 1}/a`,
      `https://127.0.0.1:${port}/a`,
      `http://localhost:${port}/a`,
    ]) {
      expect(await reasonOf(open(address))).toBe('refused_by_policy');
    }
    expect(server.requests).toHaveLength(0);
  });

  it.each([
    ['127.0.0.1'],
    ['10.0.0.5'],
    ['169.254.169.254'],
    ['::ffff:10.0.0.5'],
    ['1.1.1.1', '192.168.0.1'],
    ['fd00::1'],
  ])('an allowed name that leads to %s is refused when connecting', async (...addresses) => {
    await downloader.close();
    const resolved = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    downloader = createTestDownloader(server, {}, { resolve: () => Promise.resolve(resolved) });
    expect(await reasonOf(open('https://v15-kling-fdl.klingai.com/video.mp4'))).toBe('refused_by_policy');
  });

  it('a connection is made to the addresses that were checked, without asking again', async () => {
    const answers = [
      { address: '1.1.1.1', family: 4 },
      { address: '2606:4700::1111', family: 6 },
    ];
    let asked = 0;
    const lookup = createDownloadLookup(() =>
      Promise.resolve(asked++ === 0 ? answers : [{ address: '127.0.0.1', family: 4 }]),
    );
    const all = await new Promise((resolve) => lookup('x', { all: true }, (...results) => resolve(results)));
    expect(all).toEqual([null, answers]);
    const rebound = await new Promise((resolve) => lookup('x', {}, (error) => resolve(error)));
    expect(rebound).toMatchObject({ reason: 'refused_by_policy' });
    expect(asked).toBe(2);
  });

  it('follows allowed redirects, each one without what came before, up to the limit', async () => {
    const serve = serveFile(data);
    server.handler = (request, response) => {
      const hop = Number(/^\/(\d)$/.exec(request.url ?? '')?.[1] ?? 9);
      if (hop === 0) serve(request, response);
      else response.writeHead(302, { location: `/${hop - 1}`, 'set-cookie': 'a=b' }).end('moved');
    };
    const file = await open(`${server.origin}/3`);
    expect(await contentOf(file)).toEqual(data);
    expect(server.requests.every(({ headers }) => !headers.cookie && !headers.referer)).toBe(true);
    expect(await reasonOf(open(`${server.origin}/4`))).toBe('refused_by_policy');
  });

  it.each([
    'http://127.0.0.1:1/x',
    'http://169.254.169.254/x',
    'file:///etc/passwd',
    '//localhost/x',
    'https://evil.example/x',
    'https://[::1]/x',
  ])('a redirect to %s is refused', async (location) => {
    server.handler = (_request, response) => void response.writeHead(307, { location }).end();
    expect(await reasonOf(open())).toBe('refused_by_policy');
    expect(server.requests).toHaveLength(1);
  });
});
