import type { QueueReporting, SqsQueueOptions } from './open.ts';
import type { Queue } from './queue.ts';

export async function openSqsQueue(options: SqsQueueOptions & QueueReporting): Promise<Queue> {
  throw new Error(`${options.driver} comes in a moment`);
}
