/** The parts list: the only caller of every area's open and create. Whatever it opens is on the release stack. */
import { chmod, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createApp } from './api/app.ts';
import { createKeys, ensureLocalKey } from './api/authentication.ts';
import { createBudgets, ensureBudget } from './budget/create-budgets.ts';
import { createCallbackReceiver } from './callbacks/receiver.ts';
import { expectedGenerationMs } from './catalog/durations.ts';
import { publicModels } from './catalog/public-models.ts';
import type { Generation } from './catalog/request.ts';
import { openCdn } from './cdn/open.ts';
import { createOwnLinks } from './cdn/own-links.ts';
import { composeWorker } from './compose-worker.ts';
import type { Config } from './config.ts';
import { openPlatformDatabase } from './compose-database.ts';
import { ensureInstallationSecret, ensureWebhookSecret } from './db/installation-secret.ts';
import { systemClock } from './kernel/clock.ts';
import { credits } from './kernel/money.ts';
import { createReleaseStack, type ReleaseStack } from './kernel/release-stack.ts';
import type { Secret } from './kernel/secret.ts';
import { createCallbackUrls } from './kling/callback-url.ts';
import { createKlingApi } from './kling/open.ts';
import type { KlingAccount } from './kling/kling-api.ts';
import { createHealth } from './monitoring/health.ts';
import type { Logger } from './monitoring/log.ts';
import { openQueue } from './queue/open.ts';
import { listGenerations, listPools } from './scheduling/accounts.ts';
import { createDurations } from './scheduling/durations.ts';
import { createFlowRegistry } from './scheduling/families.ts';
import { openBlobStore } from './storage/open.ts';
import type { VideosContext, VideosOptions } from './videos/context.ts';
import { createVideos } from './videos/create-videos.ts';
import { dispatchFamily } from './videos/dispatch.ts';
import { createDispatcher } from './videos/dispatcher.ts';
import { createSignal } from './videos/events.ts';
import { hint } from './videos/look.ts';

/** Until workspaces can be made, everything belongs to this one. */
export const defaultWorkspace = 'ws_default';
export const version = '0.1.0';

export interface Platform {
  /** Where the parts that this role runs can be reached; null for parts that it does not run. */
  readonly urls: { readonly api: string | null; readonly callbacks: string | null; readonly sandbox: string | null };
  /** The local API key of an embedded server. */
  readonly localKey: string | null;
  /** Stops intake, finishes work in hand within the grace time, then closes everything in reverse order. */
  close(): Promise<void>;
}

/** Opens and starts what the role of `config` runs. A start that fails half-way releases what it had opened. */
export async function compose(config: Config, log: Logger): Promise<Platform> {
  const stack = createReleaseStack();
  try {
    return await open(config, log, stack);
  } catch (error) {
    await stack.release().catch((closing: unknown) => log.error({ error: closing }, 'closing a failed start failed'));
    throw error;
  }
}

async function open(config: Config, log: Logger, stack: ReleaseStack): Promise<Platform> {
  const { role } = config;
  const runs = (part: 'api' | 'worker' | 'callbacks') => role === 'serve' || role === part;
  const database = await openPlatformDatabase(config, log, stack);
  const { kysely } = database;
  await kysely
    .insertInto('workspaces')
    .values({ id: defaultWorkspace, name: 'Default' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { budgetCredits } = config.videos;
  await ensureBudget(kysely, defaultWorkspace, config.provider, budgetCredits === null ? null : credits(budgetCredits));
  const keys = createKeys(database);
  const keyFile = join(config.dataDirectory, 'api-key');
  const localKey = role === 'serve' ? await ensureLocalKey(database, keyFile, defaultWorkspace) : null;
  const webhookSecret = await ensureWebhookSecret(kysely);
  if (role === 'serve') await writeSecretFile(join(config.dataDirectory, 'webhook-secret'), webhookSecret);

  const onError = (error: Error, while_: string) => log.error({ error, while: while_ }, 'the queue failed');
  const queue = await openQueue({ driver: config.queue.driver, database, onError });
  stack.push('queue', () => queue.close());
  const blobs = await openBlobStore(config.storage);
  stack.push('storage', () => blobs.close());
  const sandbox = await openSandbox(config, stack);
  const account = await resolveAccount(config, sandbox);
  const kling = createKlingApi({
    accounts: account ? [account] : [],
    clock: systemClock,
    log: (line) => log.debug(line, 'kling'),
    onSkew: (skew) => log.warn(skew, 'the clock of Kling differs from ours'),
  });
  stack.push('kling client', () => kling.close());

  const callbackSecret = await ensureInstallationSecret(kysely, 'callbacks');
  const { host } = config.http;
  const callbacksPort = runs('callbacks') ? await portOf(host, config.http.callbacksPort) : 0;
  const callbacksUrl = runs('callbacks') ? `http://${reachable(host)}:${callbacksPort}` : null;
  // The sandbox runs on this machine and can always call back; Kling only to an address that was given.
  const callbackBase = config.kling.callbackUrl ?? (config.provider === 'sandbox' ? callbacksUrl : null);
  const callbackUrls = createCallbackUrls({ baseUrl: callbackBase, secret: callbackSecret });

  const durations = createDurations(kysely, systemClock.monotonicMs);
  const options = videosOptions(config);
  const lateWorker: { wakePoller(): void } = { wakePoller: () => {} };
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
    events: createSignal(),
    requestDispatch: dispatcher.request,
    wakePoller: () => lateWorker.wakePoller(),
    expectedOf: (request) => {
      const priorMs = Math.max(1, Math.round(expectedGenerationMs(request) / options.providerSpeed));
      return durations.expect(request, options.provider, priorMs);
    },
    callbackUrl: (attemptId) => callbackUrls.urlFor(attemptId),
    log: (level, message, fields) => log[level](fields, message),
    random: Math.random,
  };
  stack.push('dispatcher', () => dispatcher.idle());

  if (runs('callbacks')) {
    const receiver = createCallbackReceiver({
      urls: callbackUrls,
      kling,
      secrets: config.kling.webhookSecrets,
      hint: (attemptId) => hint(context, attemptId),
      clock: systemClock,
      log,
    });
    stack.push('callback receiver', () => receiver.close());
    await receiver.listen({ host, port: callbacksPort });
  }
  const health = createHealth({
    onFailure: (name, error) => log.warn({ error, check: name }, 'a readiness check failed'),
  });
  health.addCheck('database', () => kysely.selectFrom('clock').select('one').execute());
  if (runs('worker') && account) {
    const worker = await composeWorker({
      config,
      context,
      kling,
      account,
      blobs,
      queue,
      log,
      webhookSecret,
    });
    lateWorker.wakePoller = worker.wakePoller;
    stack.push('worker', () => worker.stop(config.shutdownGraceMs));
  }
  const apiUrl = runs('api') ? await openApi() : null;
  stack.push('readiness', () => health.setStopping());
  return {
    urls: { api: apiUrl, callbacks: callbacksUrl, sandbox: sandbox?.url ?? null },
    localKey,
    close: () => stack.release(),
  };

  async function openApi(): Promise<string> {
    const port = await portOf(host, config.http.port);
    const url = `http://${reachable(host)}:${port}`;
    const publicUrl = config.http.publicUrl ?? url;
    const ownLinks = createOwnLinks({ secret: await ensureInstallationSecret(kysely, 'links'), publicUrl });
    const budgets = createBudgets(kysely, config.provider);
    const { defaultModel, retiredModels } = config.videos;
    const generations = await listGenerations(kysely, config.provider);
    const app = createApp({
      videos: createVideos(context, { budgets, blobs }),
      budgets,
      keys,
      blobs,
      cdn: openCdn(config.cdn, { links: ownLinks, clock: systemClock }),
      ownLinks,
      findVideoWorkspace: async (videoId) => {
        const row = await kysely
          .selectFrom('videos')
          .select('workspace_id')
          .where('id', '=', videoId)
          .executeTakeFirst();
        return row?.workspace_id;
      },
      models: publicModels({ defaultModel, retiredModels, generations: options.generations ?? generations }),
      listPools: () => listPools(kysely, config.provider),
      health,
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
    await app.listen({ host, port });
    return url;
  }
}

function videosOptions(config: Config): VideosOptions {
  const { kling, timers, videos } = config;
  return {
    provider: config.provider,
    defaultModel: videos.defaultModel,
    retiredModels: videos.retiredModels,
    generations: allowedGenerations(config),
    providerSpeed: config.providerSpeed,
    leaseMs: timers.leaseMs,
    postTimeoutMs: kling.postTimeoutMs,
    readTimeoutMs: kling.readTimeoutMs,
    settleDelayMs: kling.settleDelayMs,
    afterDoubt: kling.afterDoubt,
    pollFloorMs: timers.pollFloorMs,
    abandonAfterMs: timers.abandonAfterMs,
    archiveRetryMs: { baseMs: timers.archiveRetryBaseMs, capMs: timers.archiveRetryCapMs },
  };
}

function allowedGenerations(config: Config): Generation[] | null {
  return config.kling.generation === 'auto' ? null : [config.kling.generation];
}

/** The built-in sandbox, with its own journal: it plays the outside world, so a restart finds it as it was. */
async function openSandbox(config: Config, stack: ReleaseStack): Promise<{ readonly url: string } | null> {
  if (!config.sandbox) return null;
  const { startSandbox } = await import('@dailies/sandbox');
  const dataDir = join(config.dataDirectory, 'sandbox');
  const { port, speed } = config.sandbox;
  const slots = config.kling.slotsPerPool;
  const sandbox = await startSandbox({ host: '127.0.0.1', port, speed, dataDir, ...(slots === null ? {} : { slots }) });
  stack.push('sandbox', () => sandbox.close());
  return sandbox;
}

/** Where the account is and with which credentials; null in a role that never talks to Kling. */
async function resolveAccount(config: Config, sandbox: { readonly url: string } | null): Promise<KlingAccount | null> {
  const { id, apiKey, accessKey, secretKey } = config.account;
  if (config.role === 'api' || config.role === 'callbacks') return null;
  const host = sandbox?.url ?? config.account.host;
  if (host === null) throw new Error('there is neither Kling nor a sandbox to talk to');
  if (config.provider === 'kling' || apiKey || accessKey) return { id, host, apiKey, accessKey, secretKey };
  const { sandboxCredentials } = await import('./sandbox-credentials.ts');
  return { id, host, ...sandboxCredentials(config.kling.generation) };
}

/** For whoever verifies our webhooks on this machine. */
async function writeSecretFile(file: string, secret: Secret): Promise<void> {
  await writeFile(file, `${secret.reveal()}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}

/** A port that was asked for, or a free one: links need to know it before anything listens. */
async function portOf(host: string, wanted: number): Promise<number> {
  if (wanted !== 0) return wanted;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An address to connect to for one to listen on. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
}
