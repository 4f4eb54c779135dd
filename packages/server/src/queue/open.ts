import type { Database } from '../db/database.ts';
import type { RedisConfig } from '../redis/config.ts';
import type { Message, Queue } from './queue.ts';

/** Which engine carries the messages, with what it needs to open. */
export type QueueOptions = QueueReporting &
  (PostgresQueueOptions | RedisQueueOptions | SqsQueueOptions | PubSubQueueOptions);

export interface QueueReporting {
  /** Told about failures that have no caller; the message in question comes again. */
  readonly onError?: (error: Error, while_: string) => void;
  /**
   * Told about a message that the engine gave up by itself and put into its own dead-letter queue; it is removed from there when this
   * resolves. Only engines with such queues call it, and only while something is consumed.
   */
  readonly onDead?: (message: Message) => Promise<void>;
}

export interface PostgresQueueOptions {
  readonly driver: 'postgres';
  readonly database: Database;
  /** Faster for tests. */
  readonly pace?: QueuePace;
}

export interface QueuePace {
  /** How often messages of dead processes are looked for; whole seconds. */
  readonly inspectionSeconds: number;
  /** How long an idle consumer rests when no notification wakes it. */
  readonly pollMs: number;
}

export interface LeasePace {
  /** How long the engine leaves a message with a consumer that says nothing; whole seconds. */
  readonly leaseSeconds?: number;
}

export interface RedisQueueOptions extends RedisConfig, LeasePace {
  readonly driver: 'redis';
}

export interface SqsQueueOptions extends LeasePace {
  readonly driver: 'sqs';
  /** Beginning of the names of the queues. */
  readonly prefix: string;
  readonly region: string;
  /** Null: Amazon's own. */
  readonly endpoint: string | null;
}

export interface PubSubQueueOptions extends LeasePace {
  readonly driver: 'pubsub';
  /** Beginning of the names of topics and subscriptions. */
  readonly prefix: string;
  /** Null: that of the credentials. */
  readonly projectId: string | null;
  readonly emulatorHost: string | null;
}

/** Opens the engine and makes what it needs there; close it before the database. The SDK of an engine is loaded only here. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  switch (options.driver) {
    case 'postgres': {
      const { openPostgresQueue } = await import('./postgres.ts');
      return openPostgresQueue(options);
    }
    case 'redis': {
      const { openRedisQueue } = await import('./redis.ts');
      return openRedisQueue(options);
    }
    case 'sqs': {
      const { openSqsQueue } = await import('./sqs.ts');
      return openSqsQueue(options);
    }
    case 'pubsub': {
      const { openPubSubQueue } = await import('./pubsub.ts');
      return openPubSubQueue(options);
    }
    default:
      throw new Error(`unknown queue driver ${JSON.stringify(options satisfies never)}`);
  }
}
