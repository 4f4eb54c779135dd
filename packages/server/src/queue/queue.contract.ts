import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Database } from '../db/database.ts';
import { inTransaction } from '../db/transaction.ts';
import type { ConsumeOptions, Handler, Message, MessageKind, Queue } from './queue.ts';

/** One engine, empty at the start of each test. */
export interface QueueSubject {
  /** Another process' view of the same engine; the suite closes it. */
  open(): Promise<Queue>;
  /** Takes one message as a process that dies with it in hand, and lets the time of its lease pass. */
  takeAndDie(kind: MessageKind): Promise<void>;
  /** Makes the engine believe that the holder of the only message in hand died, although it lives. */
  loseLease(kind: MessageKind): Promise<void>;
  /** Messages at the engine, where the engine itself does not tell them to `depth()`. */
  depth?(): Promise<Readonly<Record<MessageKind, number>>>;
  /** The database of transactional publishing, where the engine has it. */
  readonly database?: Database;
  close(): Promise<void>;
}

export interface Skip {
  readonly test: string;
  readonly reason: string;
}

const ceilingMs = 20_000;
const done = { result: 'done' } as const;

/** What every engine behind the port must do. */
export function queueContract(
  name: string,
  makeSubject: () => Promise<QueueSubject>,
  options: { skips?: readonly Skip[] } = {},
): void {
  const skips = options.skips ?? [];
  function guarantee(title: string, run: () => Promise<void>): void {
    const skip = skips.find((candidate) => candidate.test === title);
    test.skipIf(skip)(skip ? `${title} (${skip.reason})` : title, run);
  }

  describe(`queue contract: ${name}`, () => {
    let subject: QueueSubject;
    let queue: Queue;
    let opened: Queue[] = [];
    async function open(): Promise<Queue> {
      const next = await subject.open();
      opened.push(next);
      return next;
    }
    const depth = () => subject.depth?.() ?? queue.depth();
    beforeEach(async () => {
      subject = await makeSubject();
      queue = await open();
    });
    afterEach(async () => {
      await Promise.all(opened.map((each) => each.close()));
      opened = [];
      await subject.close();
    });

    guarantee('every published message is handled', async () => {
      const messages = manyMessages('submit', 50);
      const handled = await record(queue, 'submit', { concurrency: 4 });
      await queue.publish(messages.slice(0, 25));
      await Promise.all(messages.slice(25).map((message) => queue.publish([message])));
      await until(() => handled.length >= 50);
      expect(new Set(handled.map(({ id }) => id))).toEqual(new Set(messages.map(({ id }) => id)));
      await until(async () => (await depth()).submit === 0);
    });

    guarantee('messages published before anyone consumes wait', async () => {
      await queue.publish([message('look'), message('look'), message('archive')]);
      expect(await depth()).toEqual({ submit: 0, look: 2, archive: 1, notify: 0 });
      const handled = await record(await open(), 'look');
      await until(() => handled.length === 2);
    });

    guarantee('a message that is published twice may be handled twice, and both go away', async () => {
      const twice = message('notify');
      await queue.publish([twice, twice]);
      await queue.publish([twice]);
      const handled = await record(queue, 'notify');
      await until(async () => (await depth()).notify === 0);
      expect(handled.length).toBeGreaterThanOrEqual(1);
      expect(new Set(handled.map(({ id }) => id))).toEqual(new Set([twice.id]));
    });

    guarantee('a message that is published while the same one is in hand is delivered, too', async () => {
      const again = message('notify');
      let begun = 0;
      const release = Promise.withResolvers<void>();
      const handled = await record(queue, 'notify', {}, async () => {
        begun++;
        await release.promise;
        return done;
      });
      await queue.publish([again]);
      await until(() => begun === 1);
      await queue.publish([again]);
      release.resolve();
      await until(() => handled.length === 2);
      expect(handled).toEqual([again, again]);
    });

    guarantee('the message of a process that died comes again', async () => {
      const lost = message('submit');
      await queue.publish([lost]);
      await subject.takeAndDie('submit');
      const handled = await record(queue, 'submit');
      await until(() => handled.length === 1);
      expect(handled).toEqual([lost]);
      expect(queue.limits.redeliveryMs).toBeLessThanOrEqual(60_000);
    });

    guarantee('a message is in hand once at a time while its handler lives', async () => {
      const other = await open();
      let now = 0;
      let most = 0;
      const release = Promise.withResolvers<void>();
      const handler: Handler = async () => {
        most = Math.max(most, ++now);
        await release.promise;
        now--;
        return done;
      };
      const first = await record(queue, 'archive', {}, handler);
      const second = await record(other, 'archive', {}, handler);
      await queue.publish([message('archive')]);
      await until(() => now === 1);
      await queue.publish([message('submit')]);
      const probe = await record(other, 'submit');
      await until(() => probe.length === 1);
      release.resolve();
      await until(() => first.length + second.length === 1);
      expect(most).toBe(1);
    });

    guarantee('a late finisher does not end a message that was delivered again', async () => {
      const paused = Promise.withResolvers<void>();
      const second = Promise.withResolvers<void>();
      let deliveries = 0;
      const finished: number[] = [];
      const handler: Handler = async () => {
        const delivery = ++deliveries;
        await (delivery === 1 ? paused.promise : second.promise);
        return done;
      };
      const settled = async () => void finished.push(deliveries);
      const consumer = await queue.consume('archive', handler, { concurrency: 1, settled });
      await queue.publish([message('archive')]);
      await until(() => deliveries === 1);
      await subject.loseLease('archive');
      await (await open()).consume('archive', handler, { concurrency: 1, settled });
      await until(() => deliveries === 2);
      paused.resolve();
      await until(() => finished.length === 1);
      await consumer.stop(ceilingMs);
      expect((await depth()).archive).toBe(1);
      second.resolve();
      await until(async () => (await depth()).archive === 0);
    });

    guarantee('a kind that is stuck does not delay another', async () => {
      const release = Promise.withResolvers<void>();
      let stuck = 0;
      await record(queue, 'archive', { concurrency: 2 }, async () => {
        stuck++;
        await release.promise;
        return done;
      });
      await queue.publish(manyMessages('archive', 20));
      await until(() => stuck === 2);
      const handled = await record(queue, 'submit');
      await queue.publish([message('submit')]);
      await until(() => handled.length === 1);
      expect(stuck).toBe(2);
      release.resolve();
      await until(() => stuck === 20);
    });

    guarantee('no more messages are in hand than asked for', async () => {
      let now = 0;
      let most = 0;
      const handled = await record(queue, 'look', { concurrency: 3 }, async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return done;
      });
      await queue.publish(manyMessages('look', 30));
      await until(() => handled.length === 30);
      expect(most).toBe(3);
    });

    guarantee('each delivery is settled once, before the message is acknowledged', async () => {
      const settled: string[] = [];
      const depths: number[] = [];
      const results: Record<string, () => ReturnType<Handler>> = {
        done: async () => done,
        retry: async () => ({ result: 'retry', afterMs: 10, reason: 'later' }),
        fail: async () => ({ result: 'fail', reason: 'never' }),
        crash: async () => {
          throw new Error('bug');
        },
      };
      await queue.consume('submit', ({ id }) => results[id]!(), {
        concurrency: 1,
        async settled({ id }, outcome) {
          depths.push((await depth()).submit);
          settled.push(`${id}: ${outcome.result}${outcome.result === 'crash' ? ` ${outcome.error.message}` : ''}`);
        },
      });
      for (const id of Object.keys(results)) await queue.publish([{ kind: 'submit', id }]);
      await until(async () => settled.length >= 4 && (await depth()).submit === 0);
      expect(settled.toSorted()).toEqual(['crash: crash bug', 'done: done', 'fail: fail', 'retry: retry']);
      expect(Math.min(...depths)).toBeGreaterThanOrEqual(1);
    });

    guarantee('a message whose outcome could not be recorded is not acknowledged', async () => {
      const consumer = await queue.consume('look', async () => done, {
        concurrency: 1,
        settled: async () => {
          failures++;
          throw new Error('the database is away');
        },
      });
      let failures = 0;
      await queue.publish([message('look')]);
      await until(() => failures === 1);
      await consumer.stop(1_000);
      expect((await depth()).look).toBe(1);
    });

    guarantee('stopping waits for what is in hand and takes nothing new', async () => {
      const release = Promise.withResolvers<void>();
      let begun = 0;
      let finished = 0;
      const consumer = await queue.consume(
        'archive',
        async (_message, signal) => {
          begun++;
          await release.promise;
          expect(signal.aborted).toBe(false);
          finished++;
          return done;
        },
        { concurrency: 2, settled: async () => {} },
      );
      await queue.publish(manyMessages('archive', 5));
      await until(() => begun === 2);
      const stopped = consumer.stop(ceilingMs);
      release.resolve();
      await stopped;
      expect({ begun, finished }).toEqual({ begun: 2, finished: 2 });
      expect((await depth()).archive).toBe(3);
    });

    guarantee('what outlasts the grace is aborted, not settled, and delivered again', async () => {
      const settled: string[] = [];
      const aborted = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const consumer = await queue.consume(
        'archive',
        (_message, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted.resolve();
              reject(new Error('stopped by the signal'));
            });
            begun.resolve();
          }),
        { concurrency: 1, settled: async (_message, outcome) => void settled.push(outcome.result) },
      );
      const interrupted = message('archive');
      await queue.publish([interrupted]);
      await begun.promise;
      await consumer.stop(20);
      await aborted.promise;
      expect(settled).toEqual([]);
      const handled = await record(await open(), 'archive');
      await until(() => handled.length === 1);
      expect(handled).toEqual([interrupted]);
    });

    guarantee(
      'a message published in a transaction arrives with its commit and is gone with its rollback',
      async () => {
        if (!queue.limits.transactional || !subject.database) return;
        const handled = await record(queue, 'submit');
        const gone = message('submit');
        const kept = message('submit');
        const failing = inTransaction(subject.database, async ({ trx }) => {
          await queue.publish([gone], trx);
          throw new Error('undone');
        });
        await expect(failing).rejects.toThrow('undone');
        await inTransaction(subject.database, async ({ trx }) => {
          await queue.publish([kept], trx);
          await new Promise((resolve) => setTimeout(resolve, 50));
          expect(handled).toEqual([]);
        });
        await until(() => handled.length === 1);
        expect(handled).toEqual([kept]);
        expect((await depth()).submit).toBeLessThanOrEqual(1);
      },
    );
  });
}

function message(kind: MessageKind): Message {
  return { kind, id: randomUUID() };
}

function manyMessages(kind: MessageKind, count: number): Message[] {
  return Array.from({ length: count }, () => message(kind));
}

/** Consumes and lists what was handled, in order. */
async function record(
  queue: Queue,
  kind: MessageKind,
  options: Partial<ConsumeOptions> = {},
  handler: Handler = async () => done,
): Promise<readonly Message[]> {
  const handled: Message[] = [];
  await queue.consume(
    kind,
    async (delivered, signal) => {
      const result = await handler(delivered, signal);
      handled.push(delivered);
      return result;
    },
    { concurrency: 1, settled: async () => {}, ...options },
  );
  return handled;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await condition())) throw new Error('The condition was not reached in time.');
    },
    { timeout: ceilingMs, interval: 5 },
  );
}
