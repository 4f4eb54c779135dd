import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { eventually } from '../../../../test/servers/spawn.ts';
import { startSqs, type SqsServer } from '../../../../test/servers/sqs.ts';
import { handle, measureLatencyMs, openReporting } from './cloud-queue.testing.ts';
import { openQueue, type QueueReporting } from './open.ts';
import { queueContract, type QueueSubject } from './queue.contract.ts';
import { messageKinds, type Handler, type Message, type MessageKind, type Queue } from './queue.ts';

const leaseSeconds = 1;
const done = { result: 'done' } as const;

let server: SqsServer;
beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test-key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test-secret');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  server = await startSqs();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.stop();
});

function openSqs(reporting: QueueReporting = {}): Promise<Queue> {
  const { endpoint, region } = server;
  return openQueue({ driver: 'sqs', prefix: 'test', region, endpoint, leaseSeconds, ...reporting });
}

queueContract('sqs', async (): Promise<QueueSubject> => {
  server.forget();
  return {
    open: () => openSqs(),
    takeAndDie,
    loseLease: async (kind) => server.loseLeases(`test-${kind}`),
    close: async () => {},
  };
});

/** A queue of its own on an empty server, with what it reported; closed after the test. */
function openEmpty(reporting: QueueReporting = {}): Promise<{ queue: Queue; errors: string[] }> {
  server.forget();
  return openReporting(openSqs, reporting);
}

describe('sqs', () => {
  test('a message reaches an idle handler in milliseconds, by a poll that waits', async () => {
    const { queue } = await openEmpty();
    expect(await measureLatencyMs(queue, 'sqs')).toBeLessThan(200);
  });

  test('a handler that takes longer than the lease keeps its message', async () => {
    const { queue, errors } = await openEmpty();
    const other = await openSqs();
    onTestFinished(() => other.close());
    let begun = 0;
    const leasesMs = 3 * leaseSeconds * 1_000;
    const slow: Handler = async () => {
      begun++;
      await sleep(leasesMs);
      return done;
    };
    const handled = await handle(queue, 'archive', slow);
    const elsewhere = await handle(other, 'archive', slow);
    await queue.publish([{ kind: 'archive', id: 'long' }]);
    await eventually('it is handled', () => handled.length + elsewhere.length === 1);
    await eventually('it is gone', () => server.count('test-archive') === 0);
    expect({ begun, errors }).toEqual({ begun: 1, errors: [] });
  });

  test('what SQS gave up reaches onDead and is removed; what onDead does not take comes again', async () => {
    const dead: Message[] = [];
    const { queue, errors } = await openEmpty({
      async onDead(message) {
        dead.push(message);
        if (dead.length === 1) throw new Error('the database is away');
      },
    });
    server.put('test-submit-dead', JSON.stringify({ id: 'given-up' }));
    await handle(queue, 'submit');
    await eventually('it is removed', () => dead.length > 1 && server.count('test-submit-dead') === 0);
    const message = { kind: 'submit', id: 'given-up' };
    expect(dead).toEqual([message, message]);
    expect(errors).toEqual(['settling a message: the database is away']);
  });

  test('a message whose outcome can never be recorded ends in onDead', async () => {
    const dead: Message[] = [];
    const { queue } = await openEmpty({ onDead: async (message) => void dead.push(message) });
    server.limitReceives('test-submit', 2);
    let deliveries = 0;
    const settled = async (): Promise<void> => {
      deliveries++;
      throw new Error('the database is away');
    };
    await queue.consume('submit', async () => done, { concurrency: 1, settled });
    await queue.publish([{ kind: 'submit', id: 'unlucky' }]);
    await eventually('it is given up', () => dead.length === 1 && server.count('test-submit-dead') === 0);
    expect({ dead, deliveries }).toEqual({ dead: [{ kind: 'submit', id: 'unlucky' }], deliveries: 2 });
  });

  test('dead letters stay where they are while nobody takes them', async () => {
    const { queue } = await openEmpty();
    server.put('test-submit-dead', JSON.stringify({ id: 'given-up' }));
    const handled = await handle(queue, 'submit');
    await queue.publish([{ kind: 'submit', id: 'alive' }]);
    await eventually('the other is handled', () => handled.length === 1);
    expect(server.count('test-submit-dead')).toBe(1);
  });

  test('the queues are made with a dead-letter queue each, after the most deliveries that SQS allows', async () => {
    await openEmpty();
    for (const kind of messageKinds) {
      const { RedrivePolicy = '' } = server.attributes(`test-${kind}`) ?? {};
      expect(JSON.parse(RedrivePolicy)).toEqual({
        deadLetterTargetArn: `arn:aws:sqs:${server.region}:000000000000:test-${kind}-dead`,
        maxReceiveCount: 1_000,
      });
    }
  });

  test('queues that exist are used as their owner made them', async () => {
    await openEmpty();
    const before = messageKinds.map((kind) => server.attributes(`test-${kind}`));
    const again = await openQueue({
      driver: 'sqs',
      prefix: 'test',
      region: server.region,
      endpoint: server.endpoint,
      leaseSeconds: 20,
    });
    await again.close();
    expect(messageKinds.map((kind) => server.attributes(`test-${kind}`))).toEqual(before);
  });

  test('the workspace of a message is its group, and no part of what handlers see', async () => {
    const { queue } = await openEmpty();
    const handled = await handle(queue, 'submit');
    const first = server.sent().length;
    await queue.publish([
      { kind: 'submit', id: 'a', workspaceId: 'ws_one' },
      { kind: 'submit', id: 'b' },
    ]);
    await eventually('both are handled', () => handled.length === 2);
    expect(server.sent().slice(first)).toEqual([
      { queue: 'test-submit', body: '{"id":"a"}', groupId: 'ws_one' },
      { queue: 'test-submit', body: '{"id":"b"}', groupId: null },
    ]);
    expect(handled.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
      { kind: 'submit', id: 'a' },
      { kind: 'submit', id: 'b' },
    ]);
  });

  test('a message of somebody else is reported and removed', async () => {
    const { queue, errors } = await openEmpty();
    server.put('test-look', 'not JSON');
    const handled = await handle(queue, 'look');
    await queue.publish([{ kind: 'look', id: 'ours' }]);
    await eventually('ours is handled', () => handled.length === 1 && server.count('test-look') === 0);
    expect(errors).toEqual(['reading a message: A message in the queue look is not one of ours.']);
  });

  test('emptied while consuming, or its queues deleted, it goes on with what comes next', async () => {
    const { queue } = await openEmpty();
    const handled = await handle(queue, 'submit');
    for (const disturb of [() => server.purge(), () => server.forget()]) {
      const before = handled.length;
      disturb();
      await queue.publish([{ kind: 'submit', id: 'next' }]);
      await eventually('the next is handled', () => handled.length === before + 1);
    }
  });

  test('away, publishing is refused in time; back again, consuming goes on', { timeout: 90_000 }, async () => {
    const { queue, errors } = await openEmpty();
    const handled = await handle(queue, 'submit');
    await server.goAway();
    onTestFinished(() => server.comeBack());
    const start = performance.now();
    const refused = await queue.publish([{ kind: 'submit', id: 'lost' }]).catch((error: unknown) => error);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(refused).toMatchObject({ name: 'SqsError', code: 'ECONNREFUSED' });
    await eventually('the consumer noticed', () => errors.some((line) => line.startsWith('fetching messages: ')));
    await server.comeBack();
    await queue.publish([{ kind: 'submit', id: 'kept' }]);
    await eventually('it is handled', () => handled.some(({ id }) => id === 'kept'));
  });

  test('publishing to a server that accepts and never answers is given up in time', { timeout: 30_000 }, async () => {
    const { queue } = await openEmpty();
    const blackHole = createServer((socket) => void socket.resume().on('error', () => {}));
    const { port } = new URL(server.endpoint);
    await server.goAway();
    blackHole.listen(Number(port), '127.0.0.1');
    await once(blackHole, 'listening');
    const start = performance.now();
    await expect(queue.publish([{ kind: 'submit', id: 'x' }])).rejects.toThrow('did not answer within 4 s');
    expect(performance.now() - start).toBeLessThan(5_000);
    await queue.close();
    const closed = once(blackHole, 'close');
    blackHole.close();
    await closed;
    await server.comeBack();
  });

  test('closing ends the polls that wait, at once', async () => {
    const { queue } = await openEmpty();
    for (const kind of messageKinds) await handle(queue, kind);
    await queue.publish([{ kind: 'look', id: 'x' }]);
    const start = performance.now();
    await queue.close();
    expect(performance.now() - start).toBeLessThan(3_000);
  });

  test('more handlers than one receive brings are kept busy', async () => {
    const { queue } = await openEmpty();
    const release = Promise.withResolvers<void>();
    let now = 0;
    let most = 0;
    const handler: Handler = async () => {
      most = Math.max(most, ++now);
      await release.promise;
      now--;
      return done;
    };
    await queue.consume('archive', handler, { concurrency: 25, settled: async () => {} });
    await queue.publish(Array.from({ length: 40 }, (_, index) => ({ kind: 'archive' as const, id: `m${index}` })));
    await eventually('25 are in hand', () => now === 25);
    release.resolve();
    await eventually('all are handled', () => server.count('test-archive') === 0);
    expect(most).toBe(25);
  });

  test('without credentials it says so, and nothing secret', { timeout: 30_000 }, async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    try {
      await expect(openSqs()).rejects.toThrow(/^SQS: Could not load credentials/);
    } finally {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'test-key');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test-secret');
    }
  });
});

/** Receives with a short lease and never says anything again. */
async function takeAndDie(kind: MessageKind): Promise<void> {
  const { SQSClient, ReceiveMessageCommand } = await import('@aws-sdk/client-sqs');
  const client = new SQSClient({ region: server.region, endpoint: server.endpoint });
  const { Messages } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: `${server.endpoint}/000000000000/test-${kind}`,
      VisibilityTimeout: 1,
    }),
  );
  expect(Messages).toHaveLength(1);
  client.destroy();
}
