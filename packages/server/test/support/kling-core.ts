import {
  sandboxAccessKey,
  sandboxApiKey,
  sandboxSecretKey,
  startSandbox,
  type Sandbox,
  type SandboxOptions,
} from '@dailies/sandbox';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { onTestFinished } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';
import type { KlingApi } from '../../src/kling/kling-api.ts';
import { createKlingApi } from '../../src/kling/open.ts';
import type { HandlerResult } from '../../src/queue/queue.ts';
import { listWaitingFamilies } from '../../src/scheduling/slots.ts';
import { dispatchFamily } from '../../src/videos/dispatch.ts';
import { listDueAccounts, lookAtAccount } from '../../src/videos/look.ts';
import { submit } from '../../src/videos/submit.ts';
import { assertBooks } from './assertions.ts';
import { openCore, testWorkspace, type CoreSettings } from './core.ts';
import { advanceClock } from './database.ts';

export interface KlingCoreSettings extends CoreSettings {
  readonly sandbox?: SandboxOptions;
  /** What the worker holds of the account. Default `key`: an API key. */
  readonly credentials?: 'key' | 'pair' | 'none';
}

const never = new AbortController().signal;

/** Forgets everything and sets the clock right, so that one database serves many tests. */
export async function emptyTables({ kysely }: Database): Promise<void> {
  await sql`truncate workspaces, api_keys, budgets, accounts, families, pools, flows, videos, attempts, files, events,
    ledger_entries, idempotency_keys, observed_durations, dead_letters, deliveries, delivery_tries, webhook_endpoints cascade`.execute(
    kysely,
  );
  await sql`update clock set offset_ms = 0`.execute(kysely);
}

/** The core, step by step, before a sandbox over HTTP; both end with the test. */
export async function openKlingCore(database: Database, settings: KlingCoreSettings = {}) {
  const sandbox = await startSandbox({ taskMs: 0, files: 'tiny', ...settings.sandbox });
  onTestFinished(() => sandbox.close());
  return { sandbox, ...(await openCoreAt(database, sandbox.url, settings)), ...sandboxTools(sandbox) };
}

/** The core, step by step, before whatever answers at `host`. */
export async function openCoreAt(database: Database, host: string, settings: KlingCoreSettings = {}) {
  await emptyTables(database);
  const core = await openCore(database, { host, ...settings });
  const kling = openClient(host, settings.credentials ?? 'key');
  onTestFinished(async () => {
    await kling.close();
    await core.close();
  });
  const { context } = core;
  const { kysely } = database;
  const deps = { kling, monotonicMs: systemClock.monotonicMs };
  const steps = {
    async dispatch(): Promise<number> {
      let started = 0;
      for (const family of await listWaitingFamilies(kysely)) started += await dispatchFamily(context, family);
      return started;
    },
    /** Lets the submit handler work on the newest attempt of a video, or of the only one. */
    async submit(videoId?: string): Promise<HandlerResult> {
      const { id } = await attempt(videoId);
      return submit(context, deps, id, never);
    },
    /** Looks at whatever is due, once. */
    async look(): Promise<number> {
      let looked = 0;
      for (const account of await listDueAccounts(context))
        looked += await lookAtAccount(context, kling, account, never);
      return looked;
    },
    async start(body: Record<string, unknown> = {}): Promise<string> {
      const id = await core.create(body);
      await steps.dispatch();
      return id;
    },
    /** Until Kling has the task. */
    async bring(body: Record<string, unknown> = {}): Promise<string> {
      const id = await steps.start(body);
      await steps.submit(id);
      return id;
    },
    advance: (ms: number) => advanceClock(database, ms),
    books: () => assertBooks(database),
  };
  /** The newest attempt of a video, or of all. */
  function attempt(videoId?: string) {
    const query = kysely.selectFrom('attempts').selectAll().orderBy('created_at', 'desc').orderBy('number', 'desc');
    return (videoId === undefined ? query : query.where('video_id', '=', videoId)).limit(1).executeTakeFirstOrThrow();
  }
  return {
    ...core,
    ...steps,
    kling,
    deps,
    database,
    attempt,
    video: (id: string) => core.videos.get(id, testWorkspace),
    receipt: (id: string) => core.videos.receipt(id, testWorkspace),
    account: () => kysely.selectFrom('accounts').selectAll().executeTakeFirstOrThrow(),
    pool: (model = 'kling-2.6') =>
      kysely.selectFrom('pools').selectAll().where('model', '=', model).executeTakeFirstOrThrow(),
    flow: () => kysely.selectFrom('flows').selectAll().executeTakeFirstOrThrow(),
    file: (videoId: string) =>
      kysely.selectFrom('files').selectAll().where('video_id', '=', videoId).executeTakeFirstOrThrow(),
  };
}

export type CoreAtKling = Awaited<ReturnType<typeof openCoreAt>>;

function openClient(host: string, credentials: 'key' | 'pair' | 'none'): KlingApi {
  const key = { apiKey: new Secret(sandboxApiKey), accessKey: null, secretKey: null };
  const pair = { apiKey: null, accessKey: new Secret(sandboxAccessKey), secretKey: new Secret(sandboxSecretKey) };
  const account = { id: 'main', host, ...(credentials === 'pair' ? pair : key) };
  return createKlingApi({ accounts: credentials === 'none' ? [] : [account], clock: systemClock });
}

function sandboxTools(sandbox: Sandbox) {
  const { url } = sandbox;
  return {
    /** Resolves when no task runs any more. */
    async ended(): Promise<void> {
      const deadline = performance.now() + 20_000;
      while (Object.values(sandbox.stats().in_flight).some((count) => count > 0)) {
        if (performance.now() > deadline) throw new Error('tasks still run');
        await delay(2);
      }
    },
    async fault(rule: Record<string, unknown>): Promise<void> {
      const answer = await fetch(`${url}/_sandbox/faults`, { method: 'POST', body: JSON.stringify(rule) });
      if (answer.status !== 201) throw new Error(await answer.text());
    },
    async clearFaults(): Promise<void> {
      await fetch(`${url}/_sandbox/faults`, { method: 'DELETE' });
    },
  };
}
