/** What the tests of the queues of a cloud do alike: they run on an empty test server, and tell what was reported. */
import { onTestFinished } from 'vitest';
import type { QueueReporting } from './open.ts';
import type { Handler, Message, MessageKind, Queue } from './queue.ts';

const done = { result: 'done' } as const;

/** A queue that is closed after the test, with what it reported. */
export async function openReporting(
  open: (reporting: QueueReporting) => Promise<Queue>,
  reporting: QueueReporting = {},
): Promise<{ queue: Queue; errors: string[] }> {
  const errors: string[] = [];
  const queue = await open({
    onError: (error, while_) => void errors.push(`${while_}: ${error.message}`),
    ...reporting,
  });
  onTestFinished(() => queue.close());
  return { queue, errors };
}

/** Handles a kind, four messages at once. @returns the messages, each once its handler has ended */
export async function handle(queue: Queue, kind: MessageKind, handler: Handler = async () => done): Promise<Message[]> {
  const handled: Message[] = [];
  const recording: Handler = async (message, signal) => {
    const result = await handler(message, signal);
    handled.push(message);
    return result;
  };
  await queue.consume(kind, recording, { concurrency: 4, settled: async () => {} });
  return handled;
}

/** The median of 40 ways from publish to an idle handler; printed as that of `engine` with SHOW_TIMES. */
export async function measureLatencyMs(queue: Queue, engine: string): Promise<number> {
  let arrived = Promise.withResolvers<void>();
  await handle(queue, 'submit', async () => {
    arrived.resolve();
    return done;
  });
  const times: number[] = [];
  for (let index = 0; index < 40; index++) {
    arrived = Promise.withResolvers();
    const start = performance.now();
    await queue.publish([{ kind: 'submit', id: `m${index}` }]);
    await arrived.promise;
    times.push(performance.now() - start);
  }
  const median = times.toSorted((a, b) => a - b)[20]!;
  // oxlint-disable-next-line no-console -- a measurement, shown when asked for
  if (process.env['SHOW_TIMES']) console.log(`${engine}: publish to handler p50 ${median.toFixed(1)} ms`);
  return median;
}
