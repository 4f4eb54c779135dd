import type { QueueReporting, RedisQueueOptions } from './open.ts';
import type { Queue } from './queue.ts';

export async function openRedisQueue(options: RedisQueueOptions & QueueReporting): Promise<Queue> {
  throw new Error(`${options.driver} comes in a moment`);
}
