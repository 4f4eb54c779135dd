import type { Generation, VideoRequest } from '../catalog/request.ts';
import type { Database } from '../db/database.ts';
import type { Provider, VideoState } from '../db/tables.ts';
import type { Queue } from '../queue/queue.ts';
import type { Durations, ExpectedDuration } from '../scheduling/durations.ts';
import type { createFlowRegistry } from '../scheduling/families.ts';
import type { Signal } from './events.ts';

/** What every function on videos works with; made once, in compose.ts. */
export interface VideosContext {
  readonly database: Database;
  readonly queue: Queue;
  readonly durations: Durations;
  readonly flows: ReturnType<typeof createFlowRegistry>;
  /** Told after every commit that added events. */
  readonly events: Signal;
  /** Asks for a dispatch of these families soon after; never throws. */
  readonly requestDispatch: (familyIds: readonly string[]) => void;
  /** Tells this process's poller that something may be due; false where none runs here. Never throws. */
  readonly wakePoller: () => boolean;
  /** The generations that registered accounts can use; null while none has registered. */
  readonly readGenerations: () => Promise<readonly Generation[] | null>;
  /** How long the provider probably takes for this request. */
  readonly expectedOf: (request: VideoRequest) => Promise<ExpectedDuration>;
  /** Callback URL of an attempt; null where Kling cannot reach us. */
  readonly callbackUrl: (attemptId: string) => string | null;
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Told what happens, for counting. A transaction that fails after a move has told of it, too. */
  readonly observer?: VideosObserver;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly options: VideosOptions;
}

/** Must not throw. */
export interface VideosObserver {
  moved(move: {
    /** Null where the state before it is not known. */
    readonly from: string | null;
    readonly to: VideoState;
    /** Time in `from`. */
    readonly seconds: number;
    readonly isFinal: boolean;
  }): void;
  /** The first create of an attempt is about to leave. @param seconds since a slot and the video were joined */
  sent(seconds: number): void;
  /** Kling ended a task. */
  ended(wasCallbackAsked: boolean): void;
}

export interface VideosOptions {
  readonly provider: Provider;
  readonly defaultModel: string;
  readonly retiredModels: 'accept' | 'refuse';
  /** Generations to use even where credentials reach more; null for both. */
  readonly generations: readonly Generation[] | null;
  /** An attempt or a file that a process claimed is another's after this. */
  readonly leaseMs: number;
  readonly postTimeoutMs: number;
  readonly readTimeoutMs: number;
  /** How long after the POST's deadline a "not found" is believed. */
  readonly settleDelayMs: number;
  readonly afterDoubt: 'resend' | 'hold';
  readonly pollFloorMs: number;
  /** A task that Kling has not ended by then is given up. */
  readonly abandonAfterMs: number;
  /** Whether final states are also told through Redis. */
  readonly redisEvents: boolean;
  readonly archiveRetryMs: { readonly baseMs: number; readonly capMs: number };
}
