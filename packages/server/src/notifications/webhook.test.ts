import { inspect } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { createWebhookNotifier, type WebhookDeps, type WebhookNotifier, type WebhookOptions } from './webhook.ts';
import { startWebhookReceiver } from './webhook-receiver.testing.ts';

const secretText = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`;
const payload = {
  type: 'video.completed',
  timestamp: '2026-11-23T10:00:00.000Z',
  data: { job_id: 'vid_1', status: 'completed', note: 'ein Fuchs im Schnee ❄' },
};
const never = new AbortController().signal;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
const opened: WebhookNotifier[] = [];
beforeAll(async () => {
  receiver = await startWebhookReceiver();
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => void response.writeHead(204).end();
});
afterEach(async () => {
  for (const notifier of opened.splice(0)) await notifier.close();
});
afterAll(() => receiver.close());

function open(options: Partial<WebhookOptions> = {}, deps: Partial<WebhookDeps> = {}): WebhookNotifier {
  const notifier = createWebhookNotifier(
    { secret: new Secret(secretText), allowLoopback: true, ...options },
    { clock: systemClock, ...deps },
  );
  opened.push(notifier);
  return notifier;
}

const send = (notifier: WebhookNotifier, url = receiver.url, signal = never) =>
  notifier.send({ id: 'dlv_1', url, payload }, signal);

test('the reference library accepts what arrives', async () => {
  expect(await send(open())).toEqual({ outcome: 'delivered', status: 204 });
  const [received] = receiver.received;
  expect(received).toMatchObject({ method: 'POST', path: '/hook?token=of-the-user' });
  expect(received!.headers).toMatchObject({
    'webhook-id': 'dlv_1',
    'content-type': 'application/json',
    'user-agent': 'dailies-webhook/1',
  });
  const verified = new Webhook(secretText).verify(received!.body, received!.headers as Record<string, string>);
  expect(verified).toEqual(payload);
  const other = new Webhook(`whsec_${Buffer.from('another secret of many bytes').toString('base64')}`);
  expect(() => other.verify(received!.body, received!.headers as Record<string, string>)).toThrow();
});

test('the signed time is that of the try, in seconds', async () => {
  await send(open({}, { clock: { monotonicMs: () => 0, wallMs: () => 1_781_080_794_900 } }));
  expect(receiver.received[0]!.headers['webhook-timestamp']).toBe('1781080794');
});

test.each([
  [200, 'delivered'],
  [299, 'delivered'],
  [400, 'failed'],
  [404, 'failed'],
  [410, 'refused'],
  [500, 'failed'],
])('%i means %s', async (status, outcome) => {
  receiver.answer = (response) => void response.writeHead(status).end('body');
  expect(await send(open())).toMatchObject({ outcome, status });
});

test.each([301, 302, 307, 308])('a redirect by %i is not followed', async (status) => {
  receiver.answer = (response) => void response.writeHead(status, { location: '/elsewhere' }).end();
  expect(await send(open())).toMatchObject({ outcome: 'failed', status });
  expect(receiver.received.map(({ path }) => path)).toEqual(['/hook?token=of-the-user']);
});

test('of an endless body only the beginning is read', async () => {
  let written = 0;
  let closed: Promise<unknown> | undefined;
  receiver.answer = (response) => {
    closed = new Promise((resolve) => response.on('close', resolve));
    response.writeHead(200);
    const write = (): void => {
      do written += 10_000;
      while (!response.destroyed && response.write('x'.repeat(10_000)));
    };
    response.on('drain', write);
    write();
  };
  expect(await send(open({ timeoutMs: 2_000 }))).toEqual({ outcome: 'delivered', status: 200 });
  await closed;
  // What fits into the buffers on the way, against hundreds of megabytes until the time limit.
  expect(written).toBeLessThan(20_000_000);
});

test('silence ends with a failure after the time limit', async () => {
  receiver.answer = () => {};
  const result = await send(open({ timeoutMs: 100 }));
  expect(result).toEqual({
    outcome: 'failed',
    status: null,
    reason: `127.0.0.1:${receiver.port} did not answer within 0.1 s.`,
  });
});

test('a body that stalls after the status does not undo the delivery', async () => {
  receiver.answer = (response) => void response.writeHead(200).write('{');
  expect(await send(open({ timeoutMs: 200 }))).toEqual({ outcome: 'delivered', status: 200 });
});

test('a closed port is a failure to try again', async () => {
  const closed = await startWebhookReceiver();
  await closed.close();
  const result = await send(open(), closed.url);
  expect(result).toMatchObject({ outcome: 'failed', status: null });
  expect(result).toHaveProperty('reason', `127.0.0.1:${closed.port} could not be reached (ECONNREFUSED).`);
});

test('a shutdown ends a call with its own reason', async () => {
  const stopping = new AbortController();
  receiver.answer = () => stopping.abort(new Error('stopping'));
  await expect(send(open(), receiver.url, stopping.signal)).rejects.toThrow('stopping');
});

test.each([
  ['plain http', 'http://example.com/hook'],
  ['a private address', 'https://10.0.0.1/hook'],
  ['link-local, the metadata service', 'https://169.254.169.254/hook'],
  ['a private IPv6 address', 'https://[fd00::1]/hook'],
  ['a mapped loopback address', 'https://[::ffff:127.0.0.1]/hook'],
  ['http to another address of this host', 'http://0.0.0.0/hook'],
  ['a user in the address', 'https://me:secret@example.com/hook'],
  ['another scheme', 'ftp://localhost/hook'],
  ['no URL', 'example.com/hook'],
])('%s is refused for good', async (_what, url) => {
  expect(await send(open(), url)).toMatchObject({ outcome: 'refused', status: null });
});

test('loopback is refused where it is not allowed, however it is written', async () => {
  const notifier = open({ allowLoopback: false });
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '2130706433', '127.1', 'api.localhost']) {
    const result = await send(notifier, `http://${host}:${receiver.port}/hook`);
    expect(result).toMatchObject({ outcome: 'refused', status: null });
  }
  expect(receiver.received).toEqual([]);
});

test('a public name that leads to this machine or a private network gets nothing', async () => {
  for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254']) {
    const notifier = open({}, { resolve: () => Promise.resolve([{ address, family: 4 }]) });
    expect(await send(notifier, `https://example.com:${receiver.port}/hook`)).toEqual({
      outcome: 'failed',
      status: null,
      reason: 'The name example.com leads to an address that is not public.',
    });
  }
  expect(receiver.received).toEqual([]);
});

test('a local name that leads elsewhere gets nothing', async () => {
  const notifier = open({}, { resolve: () => Promise.resolve([{ address: '10.0.0.1', family: 4 }]) });
  expect(await send(notifier, 'http://localhost/hook')).toMatchObject({ outcome: 'failed', status: null });
});

test('neither secret nor address shows in what is said about a failure', async () => {
  receiver.answer = (response) => void response.destroy();
  const notifier = open();
  const results = [await send(notifier), await send(notifier, 'http://example.com/hook?token=of-the-user')];
  expect(inspect([notifier, results], { depth: 9 })).not.toMatch(/whsec_|of-the-user/);
});

test('an unusable secret is refused at the start, and not repeated', () => {
  const create = () => open({ secret: new Secret('whsec_tooshort') });
  expect(create).toThrow(TypeError);
  expect(create).not.toThrow(/tooshort/);
});
