import { createApp } from './api/app.ts';
import { createKeys } from './api/authentication.ts';
import { createBudgets } from './budget/create-budgets.ts';
import { publicModels } from './catalog/public-models.ts';
import { countAnswer, countCreates } from './compose-metrics.ts';
import type { Config } from './config.ts';
import type { Links } from './compose-links.ts';
import { systemClock } from './kernel/clock.ts';
import type { ReleaseStack } from './kernel/release-stack.ts';
import type { Health } from './monitoring/health.ts';
import type { Logger } from './monitoring/log.ts';
import type { Metrics } from './monitoring/metrics.ts';
import { listGenerations, listPools } from './scheduling/accounts.ts';
import type { BlobStore } from './storage/blob-store.ts';
import { version } from './version.ts';
import type { VideosContext } from './videos/context.ts';
import { createVideos } from './videos/create-videos.ts';
import { createWebhooks } from './videos/create-webhooks.ts';
import { createDeadLetters } from './videos/replay.ts';

interface ApiParts {
  readonly config: Config;
  readonly context: VideosContext;
  readonly blobs: BlobStore;
  readonly links: Links;
  readonly port: number;
  /** Where clients reach it. */
  readonly publicUrl: string;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Starts the HTTP edge. */
export async function composeApi(parts: ApiParts, stack: ReleaseStack): Promise<void> {
  const { config, context, blobs, links, port, publicUrl, health, metrics, log } = parts;
  const { kysely } = context.database;
  const budgets = createBudgets(kysely, config.provider);
  const { defaultModel, retiredModels } = config.videos;
  const generations = context.options.generations ?? (await listGenerations(kysely, config.provider));
  const app = createApp({
    videos: countCreates(createVideos(context, { budgets, blobs }), metrics),
    webhooks: createWebhooks(context, { allowLoopback: config.role === 'serve' }),
    deadLetters: createDeadLetters(context),
    budgets,
    keys: createKeys(context.database),
    blobs,
    cdn: links.cdn,
    ownLinks: links.ownLinks,
    findVideoWorkspace: async (videoId) => {
      const find = kysely.selectFrom('videos').select('workspace_id').where('id', '=', videoId);
      return (await find.executeTakeFirst())?.workspace_id;
    },
    models: publicModels({ defaultModel, retiredModels, generations }),
    listPools: () => listPools(kysely, config.provider),
    health,
    onAnswer: (answer) => countAnswer(metrics, answer),
    onStreams: (by) => metrics.move('dailies_http_streams_open', by),
    clock: systemClock,
    log,
    options: {
      publicUrl,
      provider: config.provider,
      bodyLimitBytes: config.http.bodyLimitBytes,
      linkSeconds: Math.round(config.http.linkLifetimeMs / 1_000),
      version,
    },
  });
  stack.push('api', () => app.close());
  await app.listen({ host: config.http.host, port });
}
