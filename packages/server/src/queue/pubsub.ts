import type { QueueReporting, PubSubQueueOptions } from './open.ts';
import type { Queue } from './queue.ts';

export async function openPubSubQueue(options: PubSubQueueOptions & QueueReporting): Promise<Queue> {
  throw new Error(`${options.driver} comes in a moment`);
}
