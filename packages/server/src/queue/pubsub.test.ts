import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startPubSub, type PubSubServer } from '../../../../test/servers/pubsub.ts';
import { eventually } from '../../../../test/servers/spawn.ts';
import { handle, measureLatencyMs, openReporting } from './cloud-queue.testing.ts';
import { openQueue, type QueueReporting } from './open.ts';
import { queueContract, type QueueSubject } from './queue.contract.ts';
import { messageKinds, type Handler, type Message, type MessageKind, type Queue } from './queue.ts';

const leaseSeconds = 2;
const done = { result: 'done' } as const;

let server: PubSubServer;
beforeAll(async () => {
  server = await startPubSub();
});
afterAll(() => server.stop());

function openPubSub(reporting: QueueReporting = {}): Promise<Queue> {
  const { projectId, host } = server;
  return openQueue({ driver: 'pubsub', prefix: 'test', projectId, emulatorHost: host, leaseSeconds, ...reporting });
}

const countOf = (kind: MessageKind): number => server.count(`test-${kind}`) ?? 0;

queueContract('pubsub', async (): Promise<QueueSubject> => {
  server.forget();
  return {
    open: () => openPubSub(),
    async takeAndDie(kind) {
      expect(server.take(`test-${kind}`, 1)).toBe(true);
    },
    loseLease: async (kind) => server.loseLeases(`test-${kind}`),
    depth: async () =>
      Object.fromEntries(messageKinds.map((kind) => [kind, countOf(kind)])) as Record<MessageKind, number>,
    close: async () => {},
  };
});

/** A queue of its own on an empty server, with what it reported; closed after the test. */
function openEmpty(reporting: QueueReporting = {}): Promise<{ queue: Queue; errors: string[] }> {
  server.forget();
  return openReporting(openPubSub, reporting);
}

describe('pubsub', () => {
  test('a message reaches an idle handler in milliseconds', async () => {
    const { queue } = await openEmpty();
    expect(await measureLatencyMs(queue, 'pubsub')).toBeLessThan(200);
  });

  test('a handler that takes longer than the lease keeps its message', async () => {
    const { queue, errors } = await openEmpty();
    const other = await openPubSub();
    onTestFinished(() => other.close());
    let begun = 0;
    const slow: Handler = async () => {
      begun++;
      await sleep(2.5 * leaseSeconds * 1_000);
      return done;
    };
    const handled = await handle(queue, 'archive', slow);
    const elsewhere = await handle(other, 'archive', slow);
    await queue.publish([{ kind: 'archive', id: 'long' }]);
    await eventually('it is handled', () => handled.length + elsewhere.length === 1);
    await eventually('it is gone', () => countOf('archive') === 0);
    expect({ begun, errors }).toEqual({ begun: 1, errors: [] });
  });

  test('the depth is what this process has in hand, for nobody tells more', async () => {
    const { queue } = await openEmpty();
    const release = Promise.withResolvers<void>();
    await queue.publish([{ kind: 'look', id: 'waits' }]);
    expect(await queue.depth()).toEqual({ submit: 0, look: 0, archive: 0, notify: 0 });
    await handle(queue, 'look', async () => {
      await release.promise;
      return done;
    });
    await eventually('it is in hand', async () => (await queue.depth()).look === 1);
    release.resolve();
    await eventually('it is handled', async () => (await queue.depth()).look === 0);
  });

  test('what Pub/Sub gave up reaches onDead and is removed; what onDead does not take comes again', async () => {
    const dead: Message[] = [];
    const { queue, errors } = await openEmpty({
      async onDead(message) {
        dead.push(message);
        if (dead.length === 1) throw new Error('the database is away');
      },
    });
    server.publish('test-submit-dead', JSON.stringify({ id: 'given-up' }));
    await handle(queue, 'submit');
    await eventually('it is removed', () => dead.length > 1 && server.count('test-submit-dead') === 0);
    const message = { kind: 'submit', id: 'given-up' };
    expect(dead).toEqual([message, message]);
    expect(errors).toEqual(['settling a message: the database is away']);
  });

  test('dead letters stay where they are while nobody takes them', async () => {
    const { queue } = await openEmpty();
    server.publish('test-submit-dead', JSON.stringify({ id: 'given-up' }));
    const handled = await handle(queue, 'submit');
    await queue.publish([{ kind: 'submit', id: 'alive' }]);
    await eventually('the other is handled', () => handled.length === 1);
    expect(server.count('test-submit-dead')).toBe(1);
  });

  test('subscriptions never expire and give up after the most deliveries that Pub/Sub allows', async () => {
    await openEmpty();
    for (const kind of messageKinds) {
      expect(server.config(`test-${kind}`)).toMatchObject({
        topic: `projects/test/topics/test-${kind}`,
        ackDeadlineSeconds: leaseSeconds,
        deadLetterPolicy: {
          deadLetterTopic: `projects/test/topics/test-${kind}-dead`,
          maxDeliveryAttempts: 100,
        },
        expirationPolicy: {},
      });
    }
  });

  test('a message of somebody else is reported and removed', async () => {
    const { queue, errors } = await openEmpty();
    server.publish('test-look', 'not JSON');
    const handled = await handle(queue, 'look');
    await queue.publish([{ kind: 'look', id: 'ours' }]);
    await eventually('ours is handled', () => handled.length === 1 && countOf('look') === 0);
    expect(errors).toEqual(['reading a message: A message of the subscription for look is not one of ours.']);
  });

  test('emptied while consuming, or its subscriptions deleted, it goes on with what comes next', async () => {
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
    const { queue } = await openEmpty();
    const handled = await handle(queue, 'submit');
    await server.goAway();
    onTestFinished(() => server.comeBack());
    const start = performance.now();
    const refused = await queue.publish([{ kind: 'submit', id: 'lost' }]).catch((error: unknown) => error);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(refused).toMatchObject({ name: 'PubSubError' });
    await server.comeBack();
    await eventually('it takes messages', () =>
      queue.publish([{ kind: 'submit', id: 'kept' }]).then(
        () => true,
        () => false,
      ),
    );
    await eventually('it is handled', () => handled.some(({ id }) => id === 'kept'));
  });

  test('a server that accepts and never answers is given up in time', { timeout: 30_000 }, async () => {
    const blackHole = createServer((socket) => void socket.resume().on('error', () => {}));
    blackHole.listen(0, '127.0.0.1');
    await once(blackHole, 'listening');
    const { port } = blackHole.address() as { port: number }; // a TCP server that listens has one
    const start = performance.now();
    const opening = openQueue({ driver: 'pubsub', prefix: 'x', projectId: null, emulatorHost: `127.0.0.1:${port}` });
    await expect(opening).rejects.toMatchObject({ name: 'PubSubError' });
    expect(performance.now() - start).toBeLessThan(6_000);
    blackHole.close();
  });

  test('no more than asked for are in hand when leases are lost', async () => {
    const { queue } = await openEmpty();
    let now = 0;
    let most = 0;
    const release = Promise.withResolvers<void>();
    const handled = await handle(queue, 'archive', async () => {
      most = Math.max(most, ++now);
      await release.promise;
      now--;
      return done;
    });
    await queue.publish(Array.from({ length: 4 }, (_, index) => ({ kind: 'archive' as const, id: `m${index}` })));
    await eventually('four are in hand', () => now === 4);
    server.loseLeases('test-archive');
    await queue.publish([{ kind: 'look', id: 'probe' }]);
    const looked = await handle(queue, 'look');
    await eventually('the probe is handled', () => looked.length === 1);
    release.resolve();
    await eventually('all are handled twice', () => handled.length === 8 && countOf('archive') === 0);
    expect(most).toBe(4);
  });

  test('closing ends all streams at once, those of dead letters too', async () => {
    const { queue, errors } = await openEmpty({ onDead: async () => {} });
    for (const kind of messageKinds) await handle(queue, kind);
    await eventually('they are open', () => server.streams() === 2 * messageKinds.length);
    const start = performance.now();
    await queue.close();
    expect(performance.now() - start).toBeLessThan(3_000);
    await eventually('they are closed', () => server.streams() === 0);
    expect(errors).toEqual([]);
  });
});
