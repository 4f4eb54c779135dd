import { join } from 'node:path';
import { models } from './catalog/models.ts';
import { packType } from './catalog/wire.ts';
import { countCopy, countDeliveries } from './compose-metrics.ts';
import type { Config } from './config.ts';
import { systemClock } from './kernel/clock.ts';
import type { Secret } from './kernel/secret.ts';
import { credentialsFingerprint, generationsOf } from './kling/credentials.ts';
import type { KlingAccount, KlingApi } from './kling/kling-api.ts';
import type { Logger } from './monitoring/log.ts';
import type { Metrics } from './monitoring/metrics.ts';
import { createWebhookNotifier } from './notifications/webhook.ts';
import type { RedisNotifier } from './notifications/redis.ts';
import type { Queue } from './queue/queue.ts';
import type { RedisConfig } from './redis/config.ts';
import { registerAccount } from './scheduling/accounts.ts';
import type { BlobStore } from './storage/blob-store.ts';
import { copyVideo } from './storage/copy-video.ts';
import { createDownloader } from './storage/download.ts';
import { DownloadError } from './storage/download-error.ts';
import { createPosterMaker } from './storage/poster.ts';
import type { VideosContext } from './videos/context.ts';
import { createDeliver } from './worker/deliver.ts';
import type { LinkTo } from './worker/delivery-payload.ts';
import { startWorker, type Worker } from './worker/worker.ts';

interface WorkerParts {
  readonly config: Config;
  readonly context: VideosContext;
  readonly kling: KlingApi;
  readonly account: KlingAccount;
  readonly blobs: BlobStore;
  readonly queue: Queue;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly webhookSecret: Secret;
  readonly linkTo: LinkTo;
}

/** Where Kling's files were seen (kling-api.md 3, URL hosts). */
const klingFileHosts = ['.klingai.com', '.kwimgs.com', '.kechuangai.com'];
/** A 15 s clip in 4k at ten times the bit rate that was seen at 720p. */
const fileBytesMax = 2 * 1024 ** 3;

/** Registers the account, then starts everything that the worker role runs. */
export async function composeWorker(parts: WorkerParts): Promise<Worker> {
  const { config, context, kling, account, blobs, queue, log, metrics } = parts;
  await register(parts);
  const trustedOrigins = config.provider === 'sandbox' ? [new URL(account.host).origin] : [];
  const downloader = createDownloader({
    allowedHosts: klingFileHosts,
    trustedOrigins,
    maxBytes: fileBytesMax,
    maxRedirects: 3,
    connectTimeoutMs: 10_000,
    idleTimeoutMs: 30_000,
  });
  // The form that Standard Webhooks gives a secret; the database holds the bytes behind it.
  const notifier = createWebhookNotifier(
    { secret: parts.webhookSecret, allowLoopback: config.role === 'serve' },
    { clock: systemClock },
  );
  const spoolDirectory = join(config.dataDirectory, 'spool');
  const posters = createPosterMaker({
    blobs,
    spoolDirectory,
    onError: (error) => log.warn({ error }, 'no poster was made'),
  });
  const redis = config.redisEvents && (await openRedisEvents(config.redisEvents));
  const worker = await startWorker(
    context,
    {
      kling,
      queue,
      accountIds: [account.id],
      monotonicMs: systemClock.monotonicMs,
      copy: async (url, key, signal) => {
        const copy = async () => {
          const remote = await downloader.open(url, { signal });
          return copyVideo({ remote, store: blobs, key, spoolDirectory, signal });
        };
        return countCopy(copy(), metrics, signal);
      },
      isGone: (error) => error instanceof DownloadError && (error.reason === 'expired' || error.reason === 'missing'),
      orderPoster: posters.order,
      notify: createDeliver(context, {
        webhook: countDeliveries(notifier, 'webhook', metrics),
        redis: redis && countDeliveries(redis, 'redis', metrics),
        linkTo: parts.linkTo,
      }),
    },
    {
      concurrency: { submit: 16, look: 4, archive: 16, notify: 32 },
      sweepIntervalMs: config.timers.sweepIntervalMs,
      dispatchIntervalMs: config.timers.dispatchIntervalMs,
      republishAfterMs: config.timers.republishAfterMs,
      pollIntervalMs: 1_000,
    },
  );
  log.info({ accountId: account.id, generations: generationsOf(account) }, 'worker started');
  return {
    wakePoller: worker.wakePoller,
    async stop(graceMs) {
      await worker.stop(graceMs);
      await Promise.all([downloader.close(), notifier.close(), redis?.close(), posters.close()]);
    },
  };
}

async function openRedisEvents(config: RedisConfig): Promise<RedisNotifier> {
  const { openRedisNotifier } = await import('./notifications/redis.ts');
  return openRedisNotifier(config);
}

async function register({ config, context, kling, account, log }: WorkerParts): Promise<void> {
  const reachable = generationsOf(account).filter(
    (generation) => context.options.generations?.includes(generation) ?? true,
  );
  const offered = models.filter((model) => reachable.some((generation) => model.wireNames[generation] !== null));
  await registerAccount(context.database, {
    id: account.id,
    provider: config.provider,
    host: account.host,
    generations: reachable,
    credentialsFingerprint: credentialsFingerprint(account),
    capacity: config.kling.slotsPerPool ?? (await readCapacity(kling, account.id, log)),
    models: config.kling.poolScope === 'pack' ? ['*'] : offered.map((model) => model.id),
    packType,
  });
}

/** Kling tells the slots only in the names of its packs; the highest of the active ones counts (kling-api.md 5.1, 5.2). */
async function readCapacity(kling: KlingApi, accountId: string, log: Logger): Promise<number> {
  try {
    const packs = await kling.listPacks(accountId, { signal: AbortSignal.timeout(10_000), timeoutMs: 10_000 });
    const active = packs.filter((pack) => pack.type === packType && pack.status === 'online');
    const named = active.flatMap((pack) => (pack.concurrency === null ? [] : [pack.concurrency]));
    if (named.length > 0) return Math.max(...named);
  } catch (error) {
    log.warn({ error }, 'could not read the resource packs');
  }
  log.warn('one slot a pool is assumed: set KLING_TIER or KLING_CONCURRENCY');
  return 1;
}
