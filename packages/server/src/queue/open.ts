import type { Database } from '../db/database.ts';
import type { Queue } from './queue.ts';

/** Which engine carries the messages, with what it needs to open. */
export type QueueOptions = QueueReporting & PostgresQueueOptions;

export interface QueueReporting {
  /** Told about failures that have no caller; the message in question comes again. */
  readonly onError?: (error: Error, while_: string) => void;
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

/** Opens the engine and brings its own schema up to date; close it before the database. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  switch (options.driver) {
    case 'postgres': {
      const { openPostgresQueue } = await import('./postgres.ts');
      return openPostgresQueue(options);
    }
    default:
      throw new Error(`unknown queue driver ${JSON.stringify(options.driver satisfies never)}`);
  }
}
