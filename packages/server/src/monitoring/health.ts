import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../kernel/errors.ts';

/** Whether this process should be restarted (liveness) and whether it should get work (readiness). */
export interface Health {
  /**
   * Adds something that readiness depends on, or, with `required: false`, that is only told of: without it this process still does better with
   * work than without. A check that throws or outlasts its time counts as failed; its cause goes to `onFailure`, never into an answer.
   */
  addCheck(name: string, check: HealthCheck, options?: { timeoutMs?: number; required?: boolean }): void;
  /** From now on not ready, so that balancers send no more while work in hand is finished. */
  setStopping(): void;
  live(): LiveReport;
  /**
   * Runs every check at once; callers at the same time share one run. Nobody waits long for a check that is not required, and what it said is
   * good for 5 s: looking at a cloud costs money.
   */
  ready(): Promise<ReadyReport>;
}

/** Resolves when all is well. */
export type HealthCheck = (signal: AbortSignal) => Promise<unknown>;

export interface LiveReport {
  readonly status: 'ok';
  readonly uptime_seconds: number;
}

export interface ReadyReport {
  /** `degraded`: it should get work, though something that is not required fails. */
  readonly status: 'ready' | 'degraded' | 'not_ready' | 'stopping';
  readonly checks: Readonly<
    Record<string, { readonly ok: boolean; readonly required: boolean; readonly reason?: string; readonly ms: number }>
  >;
}

/** What balancers and orchestrators go by. */
export function readyHttpStatus({ status }: ReadyReport): 200 | 503 {
  return status === 'ready' || status === 'degraded' ? 200 : 503;
}

export interface HealthOptions {
  /** How long a check may take unless it says otherwise. */
  readonly timeoutMs?: number;
  readonly onFailure?: (name: string, error: Error) => void;
}

type CheckReport = ReadyReport['checks'][string];

interface Check {
  readonly check: HealthCheck;
  readonly timeoutMs: number;
  readonly required: boolean;
  running?: Promise<CheckReport>;
  last?: { readonly report: CheckReport; readonly atMs: number };
}

/** The probes of orchestrators give up after a second. */
const unrequiredWaitMs = 500;
const unrequiredFreshMs = 5_000;

export function createHealth(options: HealthOptions = {}): Health {
  const { timeoutMs: usualTimeoutMs = 2_000, onFailure = () => {} } = options;
  const started = performance.now();
  const checks = new Map<string, Check>();
  let stopping = false;
  let running: Promise<ReadyReport> | undefined;

  async function run(name: string, { check, timeoutMs, required }: Check): Promise<CheckReport> {
    const begun = performance.now();
    const signal = AbortSignal.timeout(timeoutMs);
    const report = (outcome: { ok: boolean; reason?: string }): CheckReport => ({
      ...outcome,
      required,
      ms: Math.round(performance.now() - begun),
    });
    try {
      await Promise.race([check(signal), rejectsOn(signal)]);
      return report({ ok: true });
    } catch (error) {
      const silence = signal.aborted ? `no answer within ${timeoutMs} ms` : undefined;
      onFailure(
        name,
        silence === undefined ? asError(error) : Object.assign(new Error(silence), { code: 'ETIMEDOUT' }),
      );
      return report({ ok: false, reason: silence ?? 'failed' });
    }
  }

  /** What is known of something that is not required, while the next look at it goes on. */
  async function peek(name: string, entry: Check): Promise<CheckReport> {
    if (entry.last && performance.now() - entry.last.atMs < unrequiredFreshMs) return entry.last.report;
    const looking = (entry.running ??= run(name, entry).then((report) => {
      entry.last = { report, atMs: performance.now() };
      delete entry.running;
      return report;
    }));
    const waiting = new AbortController();
    const known = entry.last?.report ?? { ok: false, required: false, reason: 'no answer yet', ms: unrequiredWaitMs };
    try {
      return await Promise.race([looking, sleep(unrequiredWaitMs, known, { signal: waiting.signal })]);
    } finally {
      waiting.abort();
    }
  }

  async function runAll(): Promise<ReadyReport> {
    const entries = await Promise.all(
      [...checks].map(
        async ([name, entry]) => [name, await (entry.required ? run(name, entry) : peek(name, entry))] as const,
      ),
    );
    const failed = entries.map(([, report]) => report).filter(({ ok }) => !ok);
    const status = failed.some(({ required }) => required) ? 'not_ready' : failed.length > 0 ? 'degraded' : 'ready';
    return { status: stopping ? 'stopping' : status, checks: Object.fromEntries(entries) };
  }

  return {
    addCheck: (name, check, { timeoutMs = usualTimeoutMs, required = true } = {}) =>
      void checks.set(name, { check, timeoutMs, required }),
    setStopping() {
      stopping = true;
    },
    live: () => ({ status: 'ok', uptime_seconds: Math.floor((performance.now() - started) / 1_000) }),
    ready: () => (running ??= runAll().finally(() => (running = undefined))),
  };
}

function rejectsOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(asError(signal.reason)), { once: true });
  return promise;
}
