import { request } from 'node:https';
import { describe, expect, onTestFinished, test } from 'vitest';
import { missingNginx, startNginx, type NginxServer } from '../servers/nginx.ts';
import { accepted, neverLeftOut, reset, startUpstream, type Reaction, type Upstream } from './upstreams.ts';

const reason = missingNginx();

async function gatewayTo(
  upstreams: readonly Upstream[],
  variables: Readonly<Record<string, string>> = {},
): Promise<NginxServer> {
  const [first] = upstreams;
  const gateway = await startNginx({
    apiPorts: [],
    callbacksPort: first?.port ?? 0,
    variables: { GATEWAY_API_SERVERS: neverLeftOut(...upstreams), ...variables },
  });
  onTestFinished(() => gateway.stop());
  return gateway;
}

async function upstream(react: Parameters<typeof startUpstream>[0]): Promise<Upstream> {
  const started = await startUpstream(react);
  onTestFinished(() => started.stop());
  return started;
}

const create = { method: 'POST', body: '{"prompt":"a fox"}', headers: { 'content-type': 'application/json' } };
const keyed = { ...create, headers: { ...create.headers, 'idempotency-key': 'one' } };

describe.skipIf(reason !== null)(`the gateway${reason === null ? '' : ` (${reason})`}`, () => {
  test('a create without Idempotency-Key reaches one replica once, even if its answer is lost', async () => {
    const broken = [await upstream(() => reset), await upstream(() => reset)];
    const gateway = await gatewayTo(broken);
    for (let times = 1; times <= 5; times++) {
      const answer = await fetch(`${gateway.url}/api/videos`, create);
      expect(answer.status).toBe(502);
      expect(await answer.json()).toMatchObject({ code: 'answer_lost', retryable: false });
      expect(broken.flatMap(({ requests }) => requests)).toHaveLength(times);
    }
    // So does every other POST that could be carried out twice.
    await fetch(`${gateway.url}/api/videos/vid_1/retry`, { ...create, headers: { 'idempotency-key': '' } });
    expect(broken.flatMap(({ requests }) => requests)).toHaveLength(6);
  });

  test('a create with Idempotency-Key is sent to another replica when its answer is lost, and so are reads', async () => {
    for (const [path, init] of [
      ['/api/videos', keyed],
      ['/api/videos', {}],
    ] as const) {
      let seen = 0;
      const react = (): Reaction => (seen++ === 0 ? reset : accepted);
      const both = [await upstream(react), await upstream(react)];
      const gateway = await gatewayTo(both);
      expect((await fetch(gateway.url + path, init)).status).toBe(202);
      expect(both.map(({ requests }) => requests.length)).toEqual([1, 1]);
    }
  });

  test('a create with Idempotency-Key that no replica answers is 503 with Retry-After, as a problem', async () => {
    const gateway = await gatewayTo([await upstream(() => reset), await upstream(() => reset)]);
    const answer = await fetch(`${gateway.url}/api/videos`, keyed);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'unavailable', retryable: true, status: 503 });
  });

  test('more requests of one key than its rate are 429 with Retry-After, and other keys go on', async () => {
    const gateway = await gatewayTo([await upstream(() => accepted)], {
      GATEWAY_KEY_RATE: '1r/s',
      GATEWAY_KEY_BURST: '2',
    });
    const ask = (key: string): Promise<Response> =>
      fetch(`${gateway.url}/api/videos`, { ...keyed, headers: { ...keyed.headers, authorization: `Bearer ${key}` } });
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('busy')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(6);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    expect(refused[0]?.headers.get('content-type')).toBe('application/problem+json');
    expect(await refused[0]?.json()).toMatchObject({ code: 'rate_limited', retryable: true, status: 429 });
    expect((await ask('quiet')).status).toBe(202);
  });

  test('one address is limited whatever keys it makes up, and addresses behind the trusted proxy are told apart', async () => {
    const gateway = await gatewayTo([await upstream(() => accepted)], {
      GATEWAY_ADDRESS_RATE: '1r/s',
      GATEWAY_ADDRESS_BURST: '2',
    });
    const ask = (address: string, number: number): Promise<Response> =>
      fetch(`${gateway.url}/api/videos`, {
        headers: { authorization: `Bearer invented-${String(number)}`, 'x-forwarded-for': address },
      });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, number) => ask('192.0.2.1', number)));
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(6);
    expect((await ask('192.0.2.2', 0)).status).toBe(202);
  });

  test('more connections at a time than allowed are 429', async () => {
    // Never answers: every connection stays.
    const silent = await upstream(() => 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1\n\n');
    const gateway = await gatewayTo([silent], { GATEWAY_CONNECTIONS: '2' });
    const leave = new AbortController();
    onTestFinished(() => leave.abort());
    const open = (): Promise<Response> => fetch(`${gateway.url}/api/events`, { signal: leave.signal });
    expect((await open()).status).toBe(200);
    expect((await open()).status).toBe(200);
    const refused = await open();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
  });

  test('a body over the limit is 413 as a problem, and never reaches a replica', async () => {
    const api = await upstream(() => accepted);
    const gateway = await gatewayTo([api]);
    for (const [path, bytes] of [
      ['/api/videos', 1_048_577],
      ['/callbacks/kling/a/b', 262_145],
      ['/elsewhere', 65_537],
    ] as const) {
      const answer = await fetch(gateway.url + path, { ...keyed, body: 'x'.repeat(bytes) });
      expect(answer.status, path).toBe(413);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(await answer.json()).toMatchObject({ code: 'body_too_large', retryable: false });
    }
    expect(api.requests).toEqual([]);
    expect((await fetch(`${gateway.url}/api/videos`, { ...keyed, body: 'x'.repeat(1_048_576) })).status).toBe(202);
  });

  test('events are passed on the moment they come', async () => {
    const stream = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\ndata: {}\n\n';
    const gateway = await gatewayTo([await upstream(() => stream)]);
    const leave = new AbortController();
    const answer = await fetch(`${gateway.url}/api/events`, { signal: leave.signal });
    // The upstream sends nothing more and does not end: buffered, these few bytes would never come.
    const first = await answer.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe('id: 1\ndata: {}\n\n');
    leave.abort();
  });

  test('a file of several pieces comes whole and in any range, and each piece is fetched once', async () => {
    const film = Array.from({ length: 350_000 }, (_, at) => String(at).padStart(10, '0')).join(''); // 3.5 MB
    const ranges: string[] = [];
    const api = await upstream((_, head) => {
      const validators = 'ETag: "film"\r\nAccept-Ranges: bytes\r\nCache-Control: public, max-age=60\r\n';
      if (head.startsWith('HEAD')) return `HTTP/1.1 200 OK\r\n${validators}Content-Length: ${film.length}\r\n\r\n`;
      const [, start = '', end = ''] = /range: bytes=(\d+)-(\d+)/i.exec(head) ?? [];
      ranges.push(`${start}-${end}`);
      const piece = film.slice(Number(start), Number(end) + 1);
      const place = `Content-Range: bytes ${start}-${Number(start) + piece.length - 1}/${film.length}`;
      return `HTTP/1.1 206 Partial Content\r\n${validators}${place}\r\nContent-Length: ${piece.length}\r\n\r\n${piece}`;
    });
    const gateway = await gatewayTo([api]);
    const link = `${gateway.url}/api/videos/vid_1/content?expires=1&signature=x`;
    const across = await fetch(link, { headers: { range: 'bytes=1048570-1048580' } });
    expect([across.status, across.headers.get('content-range')]).toEqual([206, 'bytes 1048570-1048580/3500000']);
    expect(await across.text()).toBe(film.slice(1_048_570, 1_048_581));
    expect(ranges).toEqual(['0-1048575', '1048576-2097151']);
    expect((await (await fetch(link)).text()) === film).toBe(true);
    const tail = await fetch(link, { headers: { range: 'bytes=-10' } });
    expect(await tail.text()).toBe(film.slice(-10));
    expect(ranges).toHaveLength(4);
    expect(api.requests.filter((line) => line.startsWith('HEAD'))).toHaveLength(1);
  });

  test('what a key opened is never kept, whatever the api says of it', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nETag: "film"\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nhi';
    const api = await upstream(() => answer);
    const gateway = await gatewayTo([api]);
    for (const key of ['one', 'two']) {
      const headers = { authorization: `Bearer ${key}` };
      expect((await fetch(`${gateway.url}/api/videos/vid_1/content`, { headers })).status).toBe(200);
    }
    expect(api.requests).toHaveLength(2);
  });

  test('inner pages are hidden, and the request id of a caller goes through', async () => {
    const api = await upstream(() => accepted);
    const gateway = await gatewayTo([api]);
    for (const path of ['/metrics', '/readyz', '/_link?signature=x']) {
      const answer = await fetch(gateway.url + path);
      expect(answer.status, path).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'not_found' });
    }
    expect(api.requests).toEqual([]);
    const answer = await fetch(`${gateway.url}/api/models`, { headers: { 'x-request-id': 'mine-1' } });
    expect(answer.headers.get('x-request-id')).toBe('mine-1');
    const odd = await fetch(`${gateway.url}/api/models`, { headers: { 'x-request-id': 'a "quoted" one' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  });

  test('TLS: the certificate is shown, old versions are refused, browsers are told to come back by it', async () => {
    const gateway = await gatewayTo([await upstream(() => accepted)]);
    const ciphers = 'DEFAULT:@SECLEVEL=0'; // this side would speak the old version
    const ask = (options: { minVersion?: 'TLSv1.1'; maxVersion?: 'TLSv1.1' }): Promise<Record<string, unknown>> =>
      new Promise((resolve, reject) => {
        const sent = request(
          `${gateway.httpsUrl}/api/models`,
          { ca: gateway.certificate, ciphers, ...options },
          (answer) => {
            answer.resume();
            resolve({ status: answer.statusCode, ...answer.headers });
          },
        );
        sent.once('error', reject);
        sent.end();
      });
    expect(await ask({})).toMatchObject({
      status: 202,
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      server: 'nginx',
    });
    await expect(ask({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
    const redirect = await fetch(`${gateway.redirectUrl}/api/models?x=1`, { redirect: 'manual' });
    expect(redirect.status).toBe(308);
    expect(redirect.headers.get('location')).toBe('https://127.0.0.1/api/models?x=1');
    // By plain HTTP, behind a load balancer that ends TLS, nothing is promised for it.
    expect((await fetch(`${gateway.url}/api/models`)).headers.get('strict-transport-security')).toBeNull();
  });

  test('the logs hold no signature, no key and no proof of a callback, also when replicas fail', async () => {
    const gateway = await gatewayTo([await upstream(() => reset)], {
      GATEWAY_KEY_RATE: '1r/s',
      GATEWAY_KEY_BURST: '3',
    });
    const headers = { authorization: 'Bearer the-key' };
    const paths = [
      '/api/videos/vid_1/content?expires=1&signature=the-link',
      '/api/videos',
      '/callbacks/kling/a/the-proof',
    ];
    for (const path of [...paths, ...paths, ...paths]) await fetch(gateway.url + path, { method: 'GET', headers });
    await fetch(`${gateway.url}/callbacks/kling/a/the-proof`, { method: 'POST', body: 'x'.repeat(300_000) });
    const log = await gateway.readLog();
    const lines = log.split('\n').filter((line) => line.startsWith('{'));
    expect(lines).toHaveLength(10);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ path: '/api/videos/vid_1/content', status: 503, method: 'GET' });
    expect(lines.some((line) => line.includes('"status":429'))).toBe(true);
    for (const secret of ['the-link', 'the-key', 'the-proof']) expect(log).not.toContain(secret);
  });
});
