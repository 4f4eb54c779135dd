import type { AccountSettings, SandboxAccount } from './accounts.ts';
import { defaultAccount } from './accounts.ts';

/** What `startSandbox` takes. Everything has a default; an empty object is a working Kling. */
export interface SandboxOptions {
  /** Address to bind; 127.0.0.1. */
  readonly host?: string;
  /** 0 (the default) takes a free port. */
  readonly port?: number;
  /** Origin written into file URLs when clients reach the sandbox by another name; its own address otherwise. */
  readonly publicUrl?: string;
  /** Folder of journal and rendered files. Without it everything lives in memory and ends with the process. */
  readonly dataDir?: string;
  /** Generation runs this many times faster; wall-clock stamps, JWT and URL expiry stay real. Default 1. */
  readonly speed?: number;
  /** Fixes the wall time of every task, from create to end, whatever model and speed. */
  readonly taskMs?: number;
  /** With `taskMs`: each task's time lies within this share of it, either way, so that tasks do not end together. From 0 (default) to 1. */
  readonly taskSpread?: number;
  /** Seeds every random choice: generation times, fault rates, pictures. Default 1. */
  readonly seed?: number;
  /** `real`: full-size clips; `tiny`: at most 20 KB each, for load. Default `real`. */
  readonly files?: 'real' | 'tiny';
  /** Refuses unknown fields and durations out of range, where the live service lets them pass. Default false (live-like). */
  readonly strict?: boolean;
  /** What happens to models that Kling was seen to refuse. Default `accept`. */
  readonly retiredModels?: 'accept' | 'refuse';
  /** What a second create with the same external task id gets. Default `refuse`, as observed. */
  readonly repeatedExternalId?: 'refuse' | 'return-first' | 'create-second';
  /** Wall milliseconds until a new task can be found by look-ups and lists. Default 0. */
  readonly visibilityLagMs?: number;
  /** Whether file downloads answer Range. Default true. */
  readonly rangeRequests?: boolean;
  /** Wall milliseconds from completion until a file URL stops working. Default 30 days. */
  readonly urlLifetimeMs?: number;
  /** `whsec_…` secrets; each signs every callback. None: callbacks are unsigned. */
  readonly webhookSecrets?: readonly string[];
  /** Waits before each further delivery of a callback that was not answered 2xx. Kling's own policy is not documented. */
  readonly callbackRetryDelaysMs?: readonly number[];
  /** Wall milliseconds for one delivery of a callback. Default 5,000. */
  readonly callbackTimeoutMs?: number;
  /** Default: one account, `defaultAccount`. */
  readonly accounts?: readonly SandboxAccount[];
  /** Concurrent tasks per account x model version x pack type, where the account does not say. Default 5. */
  readonly slots?: number;
  /** Side of 1:1 pictures in pixels; Kling's real ones are not known. */
  readonly squareSides?: Partial<Record<'720p' | '1080p' | '4k', number>>;
  /** Receives one object per noteworthy event; nothing is printed otherwise. */
  readonly log?: (line: object) => void;
}

export type Settings = Required<
  Omit<SandboxOptions, 'publicUrl' | 'dataDir' | 'taskMs' | 'accounts' | 'slots' | 'squareSides'>
> & {
  readonly publicUrl: string | undefined;
  readonly dataDir: string | undefined;
  readonly taskMs: number | undefined;
  readonly accounts: readonly AccountSettings[];
  readonly squareSides: Record<'720p' | '1080p' | '4k', number>;
};

const dayMs = 86_400_000;

/** Fills in defaults. @throws RangeError naming the first option that makes no sense */
export function resolveOptions(options: SandboxOptions): Settings {
  const { speed = 1, taskMs, taskSpread = 0, slots = 5, accounts = [defaultAccount], visibilityLagMs = 0 } = options;
  demand(speed > 0 && Number.isFinite(speed), 'speed must be a number above 0');
  demand(taskMs === undefined || taskMs >= 0, 'taskMs must not be negative');
  demand(taskSpread >= 0 && taskSpread <= 1, 'taskSpread must be from 0 to 1');
  demand(Number.isInteger(slots) && slots >= 1, 'slots must be a whole number of at least 1');
  demand(visibilityLagMs >= 0, 'visibilityLagMs must not be negative');
  demand(accounts.length > 0, 'accounts must not be empty');
  demand(new Set(accounts.map(({ id }) => id)).size === accounts.length, 'accounts must have different ids');
  for (const secret of options.webhookSecrets ?? []) {
    demand(/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret), 'webhookSecrets must be whsec_ followed by Base64');
  }
  return {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    publicUrl: options.publicUrl?.replace(/\/+$/, ''),
    dataDir: options.dataDir,
    speed,
    taskMs,
    taskSpread,
    seed: options.seed ?? 1,
    files: options.files ?? 'real',
    strict: options.strict ?? false,
    retiredModels: options.retiredModels ?? 'accept',
    repeatedExternalId: options.repeatedExternalId ?? 'refuse',
    visibilityLagMs,
    rangeRequests: options.rangeRequests ?? true,
    urlLifetimeMs: options.urlLifetimeMs ?? 30 * dayMs,
    webhookSecrets: options.webhookSecrets ?? [],
    callbackRetryDelaysMs: options.callbackRetryDelaysMs ?? [1_000, 5_000, 30_000],
    callbackTimeoutMs: options.callbackTimeoutMs ?? 5_000,
    accounts: accounts.map((account) => ({
      ...account,
      units: account.units ?? 1_000_000,
      slots: account.slots ?? slots,
    })),
    squareSides: { '720p': 960, '1080p': 1440, '4k': 2880, ...options.squareSides },
    log: options.log ?? (() => undefined),
  };
}

function demand(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new RangeError(`sandbox option: ${rule}`);
}
