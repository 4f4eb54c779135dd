/** The parts list: the only caller of every area's open and create. Whatever it opens is on the release stack. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeys, ensureLocalKey } from './api/authentication.ts';
import { ensureBudget } from './budget/create-budgets.ts';
import { createCallbackReceiver } from './callbacks/receiver.ts';
import { composeApi } from './compose-api.ts';
import { composeContext } from './compose-context.ts';
import { openPlatformDatabase } from './compose-database.ts';
import { openSandbox, resolveAccount } from './compose-provider.ts';
import { composeWorker } from './compose-worker.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { ensureInstallationSecret, ensureWebhookSecret } from './db/installation-secret.ts';
import { systemClock } from './kernel/clock.ts';
import { credits } from './kernel/money.ts';
import { createReleaseStack, type ReleaseStack } from './kernel/release-stack.ts';
import type { Secret } from './kernel/secret.ts';
import { createCallbackUrls } from './kling/callback-url.ts';
import { createKlingApi } from './kling/open.ts';
import { choosePort, localUrl } from './listen-address.ts';
import { createHealth } from './monitoring/health.ts';
import type { Logger } from './monitoring/log.ts';
import { openQueue } from './queue/open.ts';
import { openBlobStore } from './storage/open.ts';
import { hint } from './videos/look.ts';

/** Until workspaces can be made, everything belongs to this one. */
const defaultWorkspace = 'ws_default';

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
  await ensureWorkspace(config, database);
  const keys = createKeys(database);
  const webhookSecret = await ensureWebhookSecret(kysely);
  const localKey = role === 'serve' ? await writeLocalSecrets(config, database, webhookSecret) : null;

  const onError = (error: Error, while_: string) => log.error({ error, while: while_ }, 'the queue failed');
  const queue = await openQueue(
    config.queue.driver === 'postgres' ? { ...config.queue, database, onError } : { ...config.queue, onError },
  );
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

  const { host } = config.http;
  const callbacksPort = runs('callbacks') ? await choosePort(host, config.http.callbacksPort) : 0;
  const callbacksUrl = runs('callbacks') ? localUrl(host, callbacksPort) : null;
  // The sandbox runs on this machine and can always call back; Kling only to an address that was given.
  const baseUrl = config.kling.callbackUrl ?? (config.provider === 'sandbox' ? callbacksUrl : null);
  const callbackUrls = createCallbackUrls({ baseUrl, secret: await ensureInstallationSecret(kysely, 'callbacks') });
  const lateWorker = { wakePoller: () => false };
  const context = composeContext({ config, database, queue, callbackUrls, worker: lateWorker, log }, stack);

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
  if (runs('worker') && account) {
    const worker = await composeWorker({ config, context, kling, account, blobs, queue, log, webhookSecret });
    lateWorker.wakePoller = () => {
      worker.wakePoller();
      return true;
    };
    stack.push('worker', () => worker.stop(config.shutdownGraceMs));
  }
  const health = createHealth({
    onFailure: (name, error) => log.warn({ error, check: name }, 'a readiness check failed'),
  });
  health.addCheck('database', () => kysely.selectFrom('clock').select('one').execute());
  const apiUrl = runs('api') ? await composeApi({ config, context, blobs, keys, health, log }, stack) : null;
  stack.push('readiness', () => health.setStopping());
  return {
    urls: { api: apiUrl, callbacks: callbacksUrl, sandbox: sandbox?.url ?? null },
    localKey,
    close: () => stack.release(),
  };
}

async function ensureWorkspace(config: Config, { kysely }: Database): Promise<void> {
  await kysely
    .insertInto('workspaces')
    .values({ id: defaultWorkspace, name: 'Default' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { budgetCredits } = config.videos;
  await ensureBudget(kysely, defaultWorkspace, config.provider, budgetCredits === null ? null : credits(budgetCredits));
}

/** The files by which programs on this machine find their key, and verify our webhooks; readable by their owner alone. */
async function writeLocalSecrets(config: Config, database: Database, webhookSecret: Secret): Promise<string> {
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
  const file = join(config.dataDirectory, 'webhook-secret');
  await writeFile(file, `${webhookSecret.reveal()}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
  return ensureLocalKey(database, join(config.dataDirectory, 'api-key'), defaultWorkspace);
}
