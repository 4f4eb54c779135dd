/** The parts list: the only caller of every area's open and create. Whatever it opens is on the release stack. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeContext } from './compose-context.ts';
import { openPlatformDatabase } from './compose-database.ts';
import { addPlatformFigures, countKlingCall, countMessages } from './compose-metrics.ts';
import { openSandbox, resolveAccount } from './compose-provider.ts';
import { mayCome, nameQueue, nameStorage } from './compose-parts.ts';
import { openPart, type StartPatience } from './compose-wait.ts';
import { defaultWorkspace, ensureInstallation } from './compose-installation.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { ensureInstallationSecret, ensureWebhookSecret } from './db/installation-secret.ts';
import { systemClock } from './kernel/clock.ts';
import { createReleaseStack, type ReleaseStack } from './kernel/release-stack.ts';
import type { Secret } from './kernel/secret.ts';
import { createCallbackUrls } from './kling/callback-url.ts';
import { createKlingApi } from './kling/open.ts';
import { choosePort, localUrl } from './listen-address.ts';
import { createEpisodes } from './monitoring/episodes.ts';
import { createHealth } from './monitoring/health.ts';
import type { Logger } from './monitoring/log.ts';
import { createMetrics } from './monitoring/metrics.ts';
import { startMetricsServer, type MetricsServer } from './monitoring/metrics-server.ts';
import { openQueue } from './queue/open.ts';
import type { Message, Queue } from './queue/queue.ts';
import type { BlobStore } from './storage/blob-store.ts';
import { openBlobStore } from './storage/open.ts';
import { recordGivenUp } from './videos/dead-letters.ts';
import { hint } from './videos/look.ts';

export interface Platform {
  /** Where the parts that this role runs can be reached; null for parts that it does not run. */
  readonly urls: {
    readonly api: string | null;
    readonly callbacks: string | null;
    readonly sandbox: string | null;
    readonly metrics: string;
  };
  /** The local API key of an embedded server. */
  readonly localKey: string | null;
  /** Stops intake, finishes work in hand within the grace time, then closes everything in reverse order. */
  close(): Promise<void>;
}

/**
 * Opens and starts what the role of `config` runs, and loads only that. A start that fails half-way releases what it had opened.
 * @param wait ends the wait for parts that do not answer, and tells of it
 */
export async function compose(
  config: Config,
  log: Logger,
  wait: Partial<Pick<StartPatience, 'signal' | 'out'>> = {},
): Promise<Platform> {
  const stack = createReleaseStack();
  const { signal = new AbortController().signal, out = () => {} } = wait;
  try {
    return await open(config, log, stack, { timeoutMs: config.startTimeoutMs, signal, out });
  } catch (error) {
    await stack.release().catch((closing: unknown) => log.error({ error: closing }, 'closing a failed start failed'));
    throw error;
  }
}

async function open(config: Config, log: Logger, stack: ReleaseStack, patience: StartPatience): Promise<Platform> {
  const { role } = config;
  const runs = (part: 'api' | 'worker' | 'callbacks') => role === 'serve' || role === part;
  const database = await openPlatformDatabase(config, log, stack, patience);
  const { kysely } = database;
  await ensureInstallation(config, database);
  const webhookSecret = await ensureWebhookSecret(kysely);
  const localKey = role === 'serve' ? await writeLocalSecrets(config, database, webhookSecret) : null;

  const unread = createEpisodes((error, of) => log.warn({ error, of }, 'figures could not be read'));
  const metrics = createMetrics({ onError: (error, what) => unread(error, what) });
  const late = {
    recordGivenUp: (_message: Message): Promise<void> => Promise.reject(new Error('nothing is consumed yet')),
  };
  const onDead = (message: Message): Promise<void> => late.recordGivenUp(message);
  const queue = countMessages(await openEngine(config, { database, log, onDead }, patience), metrics);
  stack.push('queue', () => queue.close());
  // The receiver of callbacks touches no file.
  const blobs = runs('api') || runs('worker') ? await openStorage(config, patience) : null;
  stack.push('storage', () => blobs?.close());
  const sandbox = await openSandbox(config, stack);
  const account = await resolveAccount(config, sandbox);
  const kling = createKlingApi({
    accounts: account ? [account] : [],
    clock: systemClock,
    log: (line) => log.debug(line, 'kling'),
    onCall: (call) => countKlingCall(metrics, call),
    onSkew: (skew) => log.warn(skew, 'the clock of Kling differs from ours'),
  });
  stack.push('kling client', () => kling.close());

  const { host } = config.http;
  const callbacksPort = runs('callbacks') ? await choosePort(host, config.http.callbacksPort) : 0;
  const callbacksUrl = runs('callbacks') ? localUrl(host, callbacksPort) : null;
  // The sandbox runs on this machine and can always call back; Kling only to an address that was given.
  const baseUrl = config.kling.callbackUrl ?? (config.provider === 'sandbox' ? callbacksUrl : null);
  const callbackUrls = createCallbackUrls({ baseUrl, secret: await ensureInstallationSecret(kysely, 'callbacks') });
  const lateWorker = { wakePoller: () => false };
  const context = composeContext({ config, database, queue, callbackUrls, worker: lateWorker, metrics, log }, stack);
  late.recordGivenUp = (message) => recordGivenUp(context, message, config.queue.driver);

  // It answers until everything else has ended, and from when everything runs.
  let metricsServer: MetricsServer | undefined;
  stack.push('metrics', () => metricsServer?.close());
  addPlatformFigures(metrics, { config, database, queue });

  if (runs('callbacks')) {
    const { createCallbackReceiver } = await import('./callbacks/receiver.ts');
    const receiver = createCallbackReceiver({
      urls: callbackUrls,
      kling,
      secrets: config.kling.webhookSecrets,
      hint: (attemptId) => hint(context, attemptId),
      onCallback: (outcome) => metrics.count('dailies_callbacks_total', { outcome }),
      clock: systemClock,
      log,
    });
    stack.push('callback receiver', () => receiver.close());
    await receiver.listen({ host, port: callbacksPort });
  }
  const apiPort = runs('api') ? await choosePort(host, config.http.port) : 0;
  const apiUrl = runs('api') ? localUrl(host, apiPort) : null;
  const publicUrl = config.http.publicUrl ?? apiUrl;
  if (runs('worker') && account && blobs) {
    const { composeLinkTo } = await import('./compose-links.ts');
    const { composeWorker } = await import('./compose-worker.ts');
    const linkTo = await composeLinkTo(config, database, blobs, publicUrl, log);
    const worker = await composeWorker({
      config,
      context,
      kling,
      account,
      blobs,
      queue,
      log,
      metrics,
      webhookSecret,
      linkTo,
    });
    lateWorker.wakePoller = () => {
      worker.wakePoller();
      return true;
    };
    stack.push('worker', () => worker.stop(config.shutdownGraceMs));
  }
  const unready = createEpisodes((error, check) => log.warn({ error, check }, 'a readiness check failed'));
  const health = createHealth({ onFailure: (check, error) => unready(error, check) });
  health.addCheck('database', () => kysely.selectFrom('clock').select('one').execute());
  // Without them creates are accepted and what is in flight is followed, so the process must stay in service.
  if (config.queue.driver !== 'postgres') health.addCheck('queue', () => queue.depth(), { required: false });
  if (blobs) health.addCheck('storage', () => blobs.check(), { required: false });
  if (runs('api') && blobs && publicUrl !== null) {
    const { composeLinks } = await import('./compose-links.ts');
    const { composeApi } = await import('./compose-api.ts');
    const links = await composeLinks(config, database, blobs, publicUrl);
    await composeApi({ config, context, blobs, links, port: apiPort, publicUrl, health, metrics, log }, stack);
  }
  metricsServer = await startMetricsServer({ metrics, health }, { host, ...config.metrics });
  stack.push('readiness', () => health.setStopping());
  return {
    urls: {
      api: apiUrl,
      callbacks: callbacksUrl,
      sandbox: sandbox?.url ?? null,
      metrics: localUrl(host, metricsServer.port),
    },
    localKey,
    close: () => stack.release(),
  };
}

async function openEngine(
  config: Config,
  parts: { readonly database: Database; readonly log: Logger; readonly onDead: (message: Message) => Promise<void> },
  patience: StartPatience,
): Promise<Queue> {
  const { database, log, onDead } = parts;
  const { queue: engine } = config;
  const onError = createEpisodes((error, while_) => log.error({ error, while: while_ }, 'the queue failed'));
  const reporting = { onError, onDead };
  return openPart(
    {
      name: nameQueue(engine),
      open: () => openQueue({ ...reporting, ...(engine.driver === 'postgres' ? { ...engine, database } : engine) }),
      close: (queue) => queue.close(),
      mayPass: mayCome,
    },
    patience,
  );
}

async function openStorage({ storage }: Config, patience: StartPatience): Promise<BlobStore> {
  return openPart(
    {
      name: nameStorage(storage),
      open: () => openBlobStore(storage),
      close: (blobs) => blobs.close(),
      // A folder either is there or needs a person.
      mayPass: (error) => storage.driver !== 'fs' && mayCome(error),
    },
    patience,
  );
}

/** The files by which programs on this machine find their key, and verify our webhooks; readable by their owner alone. */
async function writeLocalSecrets(config: Config, database: Database, webhookSecret: Secret): Promise<string> {
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
  const file = join(config.dataDirectory, 'webhook-secret');
  await writeFile(file, `${webhookSecret.reveal()}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
  const { ensureLocalKey } = await import('./api/authentication.ts');
  return ensureLocalKey(database, join(config.dataDirectory, 'api-key'), defaultWorkspace);
}
