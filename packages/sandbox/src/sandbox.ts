import type { FastifyInstance } from 'fastify';
import { createAccounts } from './accounts.ts';
import { createClock } from './clock.ts';
import { createCallbacks } from './engine/callbacks.ts';
import { createEngine } from './engine/engine.ts';
import type { SandboxEvent } from './engine/events.ts';
import { memoryJournal, openJournal } from './engine/journal.ts';
import { applyEvent, clearState, createState } from './engine/state.ts';
import type { SandboxStats } from './engine/stats.ts';
import { readStats } from './engine/stats.ts';
import { createFaults } from './faults/faults.ts';
import { createClips } from './files/clips.ts';
import { createFileUrls } from './files/file-urls.ts';
import { createIds } from './ids.ts';
import type { SandboxOptions } from './options.ts';
import { resolveOptions } from './options.ts';
import { accountRoutes } from './routes/account-routes.ts';
import { adminRoutes } from './routes/admin-routes.ts';
import { billingRoutes } from './routes/billing-routes.ts';
import { fileRoutes } from './routes/file-routes.ts';
import { legacyRoutes } from './routes/legacy-routes.ts';
import { createServer } from './routes/server.ts';
import { standardRoutes } from './routes/standard-routes.ts';
import { createAuthenticator } from './wire/auth.ts';

export interface Sandbox {
  /** Origin to use as Kling's, `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Same as `GET /_sandbox/stats`. */
  stats(): SandboxStats;
  /** Forgets tasks, counters, calls, fault rules and files, as `POST /_sandbox/reset`. */
  reset(): Promise<void>;
  /** Stops at once; with a data folder, the next start goes on from here. */
  close(): Promise<void>;
}

/**
 * Starts a local Kling. Resolves when it answers.
 * @throws RangeError for an impossible option; Error when the port is taken or the journal cannot be read
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const settings = resolveOptions(options);
  const clock = createClock(settings.speed);
  const { nowMs } = clock;
  const accounts = createAccounts(settings.accounts);
  const state = createState();
  const apply = (event: SandboxEvent): void =>
    applyEvent(state, event, { seed: settings.seed, capacityOf: (accountId) => accounts.get(accountId).slots });
  const journal = settings.dataDir === undefined ? memoryJournal : openJournal(settings.dataDir, apply);
  const record = (event: SandboxEvent): void => {
    journal.append(event);
    apply(event);
  };

  const aborter = new AbortController();
  let url = '';
  const urls = createFileUrls({
    ...settings,
    lifetimeMs: settings.urlLifetimeMs,
    baseUrl: () => settings.publicUrl ?? url,
    nowMs,
  });
  const clips = createClips(settings);
  const faults = createFaults(settings.seed, state, record);
  const callbacks = createCallbacks({ settings, urls, nowMs, record });
  const ids = createIds(settings.seed, BigInt([...state.tasks.keys()].at(-1) ?? 0));
  const engine = createEngine({ state, clock, settings, ids, faults, record, announce: callbacks.announce });

  async function reset(): Promise<void> {
    engine.stop();
    callbacks.reset();
    clearState(state);
    journal.clear();
    record({ t: 'open', at: nowMs() });
    await clips.clear();
  }

  const authenticator = createAuthenticator(accounts);
  const app = createServer({ authenticator, faults, signal: aborter.signal, nowMs, record, log: settings.log });
  const taskRoutes = { engine, callbacks, signal: aborter.signal, state, urls, policy: settings, nowMs };
  legacyRoutes(app, taskRoutes);
  standardRoutes(app, taskRoutes);
  accountRoutes(app, { state, nowMs });
  billingRoutes(app, { state, nowMs });
  fileRoutes(app, { state, clips, urls, rangeRequests: settings.rangeRequests, nowMs, record });
  adminRoutes(app, { state, nowMs, record, reset });

  async function close(): Promise<void> {
    engine.stop();
    aborter.abort();
    await app.close();
    await callbacks.close();
    journal.close();
  }

  try {
    const port = await listen(app, settings.host, settings.port);
    url = `http://${settings.host === '0.0.0.0' ? '127.0.0.1' : settings.host}:${port}`;
    record({ t: 'open', at: nowMs() });
    engine.resume();
    return { url, port, stats: () => readStats(state, nowMs()), reset, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Resolves with the port that it got. */
async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  await app.listen({ host, port });
  const address = app.server.address();
  return typeof address === 'object' && address ? address.port : port;
}
