import { createServer, type AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { missingRedis, startRedis, startRedisCluster, type RedisServer } from '../../../../test/servers/redis.ts';
import { Secret } from '../kernel/secret.ts';
import { openRedis, type RedisConnection } from './connect.ts';
import { messageOf, RedisError } from './error.ts';

const missing = missingRedis();
const because = missing === null ? '' : ` (${missing})`;
const password = 'hidden:p@ss/word';
const withinMs = 6_000;

async function connect(url: string, onError: (error: Error) => void = () => {}): Promise<RedisConnection> {
  const connection = await openRedis({ urls: [new Secret(url)], prefix: 'test' }, { onError });
  onTestFinished(() => connection.close());
  return connection;
}

async function failure(promise: Promise<unknown>): Promise<{ message: string; ms: number }> {
  const start = performance.now();
  const error = await promise.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RedisError);
  expect(Object.keys(error as object)).toEqual(['name']);
  return { message: (error as Error).message, ms: performance.now() - start };
}

describe.skipIf(missing)(`a connection to Redis${because}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ password });
  });
  afterAll(() => server.stop());

  test('user and password of the address are used, and the number of its database', async () => {
    const { client, patiently } = await connect(`${server.url}/3`);
    await patiently(() => client.set('key', 'value'));
    expect(await client.call('CLIENT', 'INFO')).toContain('db=3');
  });

  test('a wrong password is refused at once, with the address and without the password', async () => {
    const { message, ms } = await failure(connect(`redis://:wrong-secret@127.0.0.1:${server.port}`));
    expect(message).toMatch(/^Redis at 127\.0\.0\.1:\d+ cannot be used: WRONGPASS /);
    expect(message).not.toContain('wrong-secret');
    expect(ms).toBeLessThan(withinMs / 2);
  });

  test('a server that does not answer fails the opening in time', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo; // a TCP server that listens has one
    const { message, ms } = await failure(connect(`redis://user:${encodeURIComponent(password)}@127.0.0.1:${port}`));
    expect(message).toContain(`127.0.0.1:${port}`);
    expect(message).not.toContain('hidden');
    expect(ms).toBeLessThan(withinMs);
  });

  test('a server that stops answering fails every action in time, is told of once, and is used again when it answers', async () => {
    const errors: string[] = [];
    const { client, patiently } = await connect(server.url, (error) => void errors.push(error.message));
    server.freeze();
    try {
      const failures = await Promise.all([
        failure(patiently(() => client.ping())),
        failure(patiently(() => client.incr('counter'))),
      ]);
      for (const { message, ms } of failures) {
        expect(message).not.toContain('hidden');
        expect(ms).toBeLessThan(withinMs);
      }
    } finally {
      server.thaw();
    }
    await vi.waitFor(() => patiently(() => client.ping()), { timeout: 50_000 });
    expect(errors).toHaveLength(1);
  });

  test('what was given up while the server was away is not done when it is back', async () => {
    const { client, patiently, isReady } = await connect(server.url);
    await server.halt();
    await failure(patiently(() => client.set('late', 'yes')));
    await server.resume();
    await vi.waitFor(() => expect(isReady()).toBe(true), { timeout: 50_000 });
    expect(await patiently(() => client.exists('late'))).toBe(0);
  });

  test('a server that lost its place to another is left for whoever answers at its address', async () => {
    const { client, patiently } = await connect(server.url);
    const before = await client.client('ID');
    const other = new Redis(server.url);
    onTestFinished(() => other.disconnect());
    await other.replicaof('127.0.0.1', 9);
    try {
      expect((await failure(patiently(() => client.set('key', 'value')))).ms).toBeLessThan(withinMs);
    } finally {
      await other.replicaof('NO', 'ONE');
    }
    await patiently(() => client.set('key', 'value'));
    expect(await client.client('ID')).toBeGreaterThan(before);
  });

  test('a subscription hears again after its server ended and came back', async () => {
    const { client, patiently, subscribe } = await connect(server.url);
    const heard: string[] = [];
    let subscribed = 0;
    await subscribe('channel', { onMessage: (message) => heard.push(message), onSubscribed: () => subscribed++ });
    expect(subscribed).toBe(1);
    await server.halt();
    await server.resume();
    await vi.waitFor(() => expect(subscribed).toBe(2), { timeout: 50_000 });
    await patiently(() => client.publish('channel', 'again'));
    await vi.waitFor(() => expect(heard).toEqual(['again']), { timeout: 50_000 });
  });

  test('an answer of the server is not asked for again', async () => {
    const { client, patiently } = await connect(server.url);
    await client.set('text', 'no number');
    let asked = 0;
    const action = (): Promise<number> => {
      asked++;
      return client.incr('text');
    };
    expect((await failure(patiently(action))).message).toContain('not an integer');
    expect(asked).toBe(1);
  });
});

test.skipIf(missing)(`one address of a cluster reaches the keys of all its nodes${because}`, async () => {
  const cluster = await startRedisCluster();
  onTestFinished(cluster.stop);
  const { client, patiently } = await connect(cluster.url);
  for (let index = 0; index < 30; index++) await patiently(() => client.set(`key ${index}`, index));
  expect(client.isCluster).toBe(true);
});

test.skipIf(missing)(`over TLS the certificate is checked${because}`, async () => {
  const encrypted = await startRedis({ password, tls: true });
  onTestFinished(encrypted.stop);
  const { message } = await failure(connect(encrypted.url));
  expect(message).toMatch(/self-signed certificate.*: DEPTH_ZERO_SELF_SIGNED_CERT$/);
  const trusted = getCACertificates('default');
  onTestFinished(() => setDefaultCACertificates(trusted));
  setDefaultCACertificates([...trusted, encrypted.certificate ?? '']);
  const { client, patiently, subscribe } = await connect(encrypted.url);
  const heard: string[] = [];
  await subscribe('channel', { onMessage: (text) => heard.push(text), onSubscribed: () => {} });
  await patiently(() => client.publish('channel', 'in secret'));
  await vi.waitFor(() => expect(heard).toEqual(['in secret']), { timeout: 50_000 });
});

test('what a server repeats of an unknown command is not shown', () => {
  const error = new Error("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'secret'");
  expect(messageOf(error)).toBe("ERR unknown command 'HELLO'");
});
