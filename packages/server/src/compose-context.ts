import { expectedGenerationMs } from './catalog/durations.ts';
import { observeVideos } from './compose-metrics.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { systemClock } from './kernel/clock.ts';
import type { ReleaseStack } from './kernel/release-stack.ts';
import type { CallbackUrls } from './kling/callback-url.ts';
import type { Logger } from './monitoring/log.ts';
import type { Metrics } from './monitoring/metrics.ts';
import type { Queue } from './queue/queue.ts';
import { createGenerationsReader } from './scheduling/accounts.ts';
import { createDurations } from './scheduling/durations.ts';
import { createFlowRegistry } from './scheduling/families.ts';
import type { VideosContext, VideosOptions } from './videos/context.ts';
import { dispatchFamily } from './videos/dispatch.ts';
import { createDispatcher } from './videos/dispatcher.ts';
import { createSignal } from './videos/events.ts';

interface ContextParts {
  readonly config: Config;
  readonly database: Database;
  readonly queue: Queue;
  readonly callbackUrls: CallbackUrls;
  /** The worker of this process, once it runs. */
  readonly worker: { wakePoller(): boolean };
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** What every function on videos works with. */
export function composeContext(parts: ContextParts, stack: ReleaseStack): VideosContext {
  const { config, database, queue, log } = parts;
  const { kysely } = database;
  const options = videosOptions(config);
  const durations = createDurations(kysely, systemClock.monotonicMs);
  const dispatcher = createDispatcher(
    (familyId) => dispatchFamily(context, familyId),
    (error, familyId) => log.error({ error, familyId }, 'a dispatch failed'),
  );
  const context: VideosContext = {
    database,
    queue,
    durations,
    options,
    flows: createFlowRegistry(kysely),
    readGenerations: createGenerationsReader(kysely, options.provider, systemClock.monotonicMs),
    events: createSignal(),
    requestDispatch: dispatcher.request,
    wakePoller: () => parts.worker.wakePoller(),
    expectedOf: (request) => {
      const priorMs = Math.max(1, Math.round(expectedGenerationMs(request) / config.providerSpeed));
      return durations.expect(request, options.provider, priorMs);
    },
    callbackUrl: (attemptId) => parts.callbackUrls.urlFor(attemptId),
    log: (level, message, fields) => log[level](fields, message),
    observer: observeVideos(parts.metrics),
    random: Math.random,
  };
  stack.push('dispatcher', () => dispatcher.idle());
  return context;
}

function videosOptions(config: Config): VideosOptions {
  const { kling, timers, videos } = config;
  return {
    provider: config.provider,
    defaultModel: videos.defaultModel,
    retiredModels: videos.retiredModels,
    generations: kling.generation === 'auto' ? null : [kling.generation],
    leaseMs: timers.leaseMs,
    postTimeoutMs: kling.postTimeoutMs,
    readTimeoutMs: kling.readTimeoutMs,
    settleDelayMs: kling.settleDelayMs,
    afterDoubt: kling.afterDoubt,
    pollFloorMs: timers.pollFloorMs,
    abandonAfterMs: timers.abandonAfterMs,
    redisEvents: config.redisEvents !== null,
    archiveRetryMs: { baseMs: timers.archiveRetryBaseMs, capMs: timers.archiveRetryCapMs },
  };
}
