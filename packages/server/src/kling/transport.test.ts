import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Clock } from '../kernel/clock.ts';
import { jsonAnswer, startRawServer, textAnswer } from '../../test/support/raw-server.ts';
import type { RawAnswer, RawServer } from '../../test/support/raw-server.ts';
import { createTransport } from './transport.ts';
import type { TransportOptions, TransportRequest } from './transport.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function setUp(answer: RawAnswer, options?: TransportOptions, clock: Clock = systemClock) {
  const server = await startRawServer(answer);
  const transport = createTransport(clock, options);
  cleanups.push(
    () => transport.close(),
    () => server.close(),
  );
  return { server, transport };
}

function request(server: Pick<RawServer, 'origin'>, changes: Partial<TransportRequest> = {}): TransportRequest {
  return {
    host: server.origin,
    method: 'POST',
    path: '/v1/videos/text2video',
    headers: { 'content-type': 'application/json' },
    body: '{"prompt":"x"}',
    signal: new AbortController().signal,
    deadlineMs: systemClock.monotonicMs() + 5_000,
    ...changes,
  };
}

const until = async (condition: () => boolean): Promise<void> => {
  const endMs = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error('the condition never came true');
    await new Promise((resolve) => setImmediate(resolve));
  }
};

test('a POST whose connection closes after its bytes arrived is not sent again', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.destroy());
  expect(await transport.send(request(server))).toMatchObject({ kind: 'broken', neverSent: false });
  expect(server.requests).toHaveLength(1);
});

test('a POST on a kept connection that the server resets is not sent again', async () => {
  const answer: RawAnswer = (seen, socket) => {
    if (seen.method === 'GET') socket.write(jsonAnswer(200, {}));
    else socket.resetAndDestroy();
  };
  const { server, transport } = await setUp(answer, { connectionsMax: 1 });
  await transport.send(request(server, { method: 'GET', body: null }));
  expect(await transport.send(request(server))).toMatchObject({ kind: 'broken', neverSent: false });
  expect(server.connections()).toBe(1);
  expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
});

test('a kept connection that the server closes while idle costs no POST', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.end(jsonAnswer(200, {})));
  for (let round = 0; round < 20; round++) {
    expect(await transport.send(request(server))).toMatchObject({ kind: 'answered', httpStatus: 200 });
  }
  expect(server.requests).toHaveLength(20);
});

test('an answer cut in the middle is no answer', async () => {
  const { server, transport } = await setUp((_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"code":0');
    socket.end();
  });
  expect(await transport.send(request(server))).toMatchObject({ kind: 'broken', neverSent: false });
  expect(server.requests).toHaveLength(1);
});

test('headers that never come end at the deadline', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.write('HTTP/1.1 200 OK\r\nX-Slow: '));
  const outcome = await transport.send(request(server, { deadlineMs: systemClock.monotonicMs() + 200 }));
  expect(outcome).toMatchObject({
    kind: 'broken',
    neverSent: false,
    message: expect.stringContaining('no complete answer'),
  });
  expect(server.requests).toHaveLength(1);
});

test('a body that trickles ends at the same deadline', async () => {
  const { server, transport } = await setUp((_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
    const trickle = setInterval(() => socket.write(' '), 20);
    socket.on('close', () => clearInterval(trickle));
  });
  const outcome = await transport.send(request(server, { deadlineMs: systemClock.monotonicMs() + 200 }));
  expect(outcome).toMatchObject({ kind: 'broken', neverSent: false });
});

test('a refused connection and an unknown name are certain: nothing was sent', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.destroy());
  await server.close();
  expect(await transport.send(request(server))).toMatchObject({ kind: 'broken', neverSent: true });
  expect(await transport.send(request({ origin: 'http://kling.invalid' }))).toMatchObject({
    kind: 'broken',
    neverSent: true,
  });
});

test('a call stopped while it waits for a connection never reaches the server', async () => {
  const stop = new AbortController();
  let finish = (): void => {};
  const { server, transport } = await setUp(
    (_request, socket) => (finish = () => void socket.write(jsonAnswer(200, {}))),
    { connectionsMax: 1 },
  );
  const first = transport.send(request(server));
  await until(() => server.requests.length === 1);
  const second = transport.send(request(server, { signal: stop.signal, path: '/second' }));
  stop.abort();
  expect(await second).toMatchObject({ kind: 'broken', neverSent: true });
  finish();
  expect(await first).toMatchObject({ kind: 'answered' });
  const third = transport.send(request(server, { path: '/third' }));
  await until(() => server.requests.length === 2);
  finish();
  await third;
  expect(server.requests.map(({ path }) => path)).toEqual(['/v1/videos/text2video', '/third']);
});

test('a call whose deadline passed while the process was frozen never reaches the server', async () => {
  let frozenMs = 0;
  let finish = (): void => {};
  const { server, transport } = await setUp(
    (_request, socket) => (finish = () => void socket.write(jsonAnswer(200, {}))),
    { connectionsMax: 1 },
    { monotonicMs: () => systemClock.monotonicMs() + frozenMs, wallMs: () => systemClock.wallMs() },
  );
  const first = transport.send(request(server));
  await until(() => server.requests.length === 1);
  const second = transport.send(request(server, { path: '/second' }));
  frozenMs = 60_000;
  finish();
  expect(await first).toMatchObject({ kind: 'answered' });
  expect(await second).toMatchObject({ kind: 'broken', neverSent: true });
  expect(await transport.send(request(server, { path: '/late' }))).toMatchObject({ neverSent: true });
  expect(server.requests).toHaveLength(1);
});

test('a call stopped before it began is certain: nothing was sent', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.destroy());
  expect(await transport.send(request(server, { signal: AbortSignal.abort() }))).toMatchObject({ neverSent: true });
  expect(server.connections()).toBe(0);
});

test('a call stopped on its way is in doubt', async () => {
  const stop = new AbortController();
  const { server, transport } = await setUp(() => stop.abort());
  expect(await transport.send(request(server, { signal: stop.signal }))).toMatchObject({
    kind: 'broken',
    neverSent: false,
  });
});

test('an answer beyond the size limit is given up', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.write(textAnswer(200, 'x'.repeat(5_000))), {
    answerSizeBytesMax: 1_000,
  });
  expect(await transport.send(request(server))).toMatchObject({
    kind: 'broken',
    message: 'the answer is larger than 1000 bytes',
  });
});

test('a redirect is an answer, not a journey', async () => {
  const { server, transport } = await setUp((_request, socket) =>
    socket.write(textAnswer(307, '', [`Location: /elsewhere`])),
  );
  expect(await transport.send(request(server))).toMatchObject({ kind: 'answered', httpStatus: 307 });
  expect(server.requests).toHaveLength(1);
});

test('connections are kept and limited', async () => {
  const { server, transport } = await setUp((_request, socket) => socket.write(jsonAnswer(200, {})), {
    connectionsMax: 2,
  });
  await Promise.all(Array.from({ length: 20 }, () => transport.send(request(server, { method: 'GET', body: null }))));
  expect(server.requests).toHaveLength(20);
  expect(server.connections()).toBeLessThanOrEqual(2);
});
