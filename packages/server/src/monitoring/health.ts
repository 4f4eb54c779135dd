import { asError } from '../kernel/errors.ts';

/** Whether this process should be restarted (liveness) and whether it should get work (readiness). */
export interface Health {
  /**
   * Adds something that readiness depends on. A check that throws or outlasts its time counts as failed; its cause goes
   * to `onFailure`, never into an answer.
   */
  addCheck(name: string, check: HealthCheck, options?: { timeoutMs?: number }): void;
  /** From now on not ready, so that balancers send no more while work in hand is finished. */
  setStopping(): void;
  live(): LiveReport;
  /** Runs every check at once; callers at the same time share one run. */
  ready(): Promise<ReadyReport>;
}

/** Resolves when all is well. */
export type HealthCheck = (signal: AbortSignal) => Promise<unknown>;

export interface LiveReport {
  readonly status: 'ok';
  readonly uptime_seconds: number;
}

export interface ReadyReport {
  readonly status: 'ready' | 'not_ready' | 'stopping';
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly reason?: string; readonly ms: number }>>;
}

export interface HealthOptions {
  /** How long a check may take unless it says otherwise. */
  readonly timeoutMs?: number;
  readonly onFailure?: (name: string, error: Error) => void;
}

type CheckReport = ReadyReport['checks'][string];

export function createHealth(options: HealthOptions = {}): Health {
  const { timeoutMs: usualTimeoutMs = 2_000, onFailure = () => {} } = options;
  const started = performance.now();
  const checks = new Map<string, { check: HealthCheck; timeoutMs: number }>();
  let stopping = false;
  let running: Promise<ReadyReport> | undefined;

  async function run(name: string, check: HealthCheck, timeoutMs: number): Promise<CheckReport> {
    const begun = performance.now();
    const signal = AbortSignal.timeout(timeoutMs);
    const report = (outcome: { ok: boolean; reason?: string }): CheckReport => ({
      ...outcome,
      ms: Math.round(performance.now() - begun),
    });
    try {
      await Promise.race([check(signal), rejectsOn(signal)]);
      return report({ ok: true });
    } catch (error) {
      onFailure(name, asError(error));
      return report({ ok: false, reason: signal.aborted ? `no answer within ${timeoutMs} ms` : 'failed' });
    }
  }

  async function runAll(): Promise<ReadyReport> {
    const entries = await Promise.all(
      [...checks].map(async ([name, { check, timeoutMs }]) => [name, await run(name, check, timeoutMs)] as const),
    );
    const ok = entries.every(([, report]) => report.ok);
    return { status: stopping ? 'stopping' : ok ? 'ready' : 'not_ready', checks: Object.fromEntries(entries) };
  }

  return {
    addCheck: (name, check, { timeoutMs = usualTimeoutMs } = {}) => void checks.set(name, { check, timeoutMs }),
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
