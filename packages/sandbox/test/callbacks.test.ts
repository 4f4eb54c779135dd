import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { createLegacy, createStandard, eventually, openReceiver, openSandbox } from './harness.ts';

const secrets = ['first', 'second'].map(
  (text) => `whsec_${Buffer.from(`${text}-webhook-secret-of-a-test`).toString('base64')}`,
);

test('each transition is one POST of the bare legacy record with the observed headers', async () => {
  const client = await openSandbox();
  const hook = await openReceiver();
  const id = await createLegacy(client, { callback_url: hook.url, external_task_id: 'job' });
  await eventually(
    () => hook.received.length,
    (count) => count === 3,
  );
  expect(hook.received.map(({ body }) => body.task_status)).toEqual(['submitted', 'processing', 'succeed']);
  expect(hook.received[0]?.headers).toMatchObject({
    'user-agent': 'Apache-HttpClient/4.5.13 (Java/11.0.14-internal)',
    'content-type': 'application/json; charset=utf-8',
    'accept-encoding': 'gzip,deflate',
    connection: 'Keep-Alive',
  });
  expect(hook.received[0]?.headers).not.toHaveProperty('webhook-signature');
  expect(hook.received[2]?.body).toEqual({
    task_id: id,
    task_status: 'succeed',
    task_status_msg: '',
    task_info: { external_task_id: 'job' },
    task_result: {
      images: [],
      videos: [{ id: expect.any(String), url: expect.any(String), duration: '5.041' }],
      audios: [],
    },
    created_at: expect.any(Number),
    updated_at: expect.any(Number),
    final_unit_deduction: '1.5',
  });
  await eventually(
    () => client.sandbox.stats().callbacks,
    (callbacks) => callbacks['delivered'] === 3,
  );
});

test('a standard task calls back with the record of GET /tasks, signed by every secret over the raw bytes', async () => {
  const client = await openSandbox({ webhookSecrets: secrets });
  const hook = await openReceiver();
  const id = await createStandard(client, { options: { callback_url: hook.url } });
  await eventually(
    () => hook.received.length,
    (count) => count === 3,
  );
  const [, , final] = hook.received;
  expect(final?.body).toEqual((await client.get(`/tasks?task_ids=${id}`)).body.data[0]);
  for (const { raw, headers } of hook.received) {
    for (const secret of secrets)
      expect(() => new Webhook(secret).verify(raw, headers as Record<string, string>)).not.toThrow();
  }
  expect(new Set(hook.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
});

test('a forged callback does not verify', async () => {
  const client = await openSandbox({ webhookSecrets: secrets });
  const hook = await openReceiver();
  await createStandard(client, { prompt: 'x [[fault:callback_forged]]', options: { callback_url: hook.url } });
  await eventually(
    () => hook.received.length,
    (count) => count === 4,
  );
  const verify = ({ raw, headers }: (typeof hook.received)[number]) => {
    try {
      new Webhook(secrets[0] ?? '').verify(raw, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  };
  expect(hook.received.map(verify)).toEqual([true, false, true, true]);
});

test('a callback that is not answered 2xx is tried again under the same id, then given up', async () => {
  const client = await openSandbox({ callbackRetryDelaysMs: [10, 10], webhookSecrets: secrets, taskMs: 60_000 });
  const hook = await openReceiver([500, 404]);
  await createLegacy(client, { callback_url: hook.url });
  await eventually(
    () => client.sandbox.stats().callbacks,
    (callbacks) => callbacks['delivered'] === 1 && callbacks['retried'] === 2,
  );
  expect(new Set(hook.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  await createLegacy(client, { callback_url: 'http://127.0.0.1:1/nobody' });
  await createLegacy(client, { callback_url: 'no address' });
  await eventually(
    () => client.sandbox.stats().callbacks,
    (callbacks) => callbacks['unreachable'] === 2,
  );
});

test('closing does not wait for a receiver that never answers', async () => {
  const client = await openSandbox({ callbackTimeoutMs: 60_000 });
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await createLegacy(client, { callback_url: `http://127.0.0.1:${port}/` });
  await eventually(
    () => sockets.length,
    (count) => count > 0,
  );
  const startedAt = performance.now();
  await client.sandbox.close();
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  for (const socket of sockets) socket.destroy();
  server.close();
});
