import path from 'node:path';
import { findBrokenRules, findOddities } from './config-rules.ts';
import { klingHosts } from './config-values.ts';
import { variablesSchema, type Variables } from './config-variables.ts';
import { Secret } from './kernel/secret.ts';
import { buildParts, type DatabaseConfig, type QueueConfig } from './config-parts.ts';
import type { CdnConfig } from './cdn/open.ts';
import type { RedisConfig } from './redis/config.ts';
import type { BlobStoreConfig } from './storage/open.ts';
import type { LogLevel } from './monitoring/log.ts';

/** What a process runs: everything, or one part beside others on the same database. */
export const roles = ['serve', 'api', 'worker', 'callbacks'] as const;
export type Role = (typeof roles)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the whole process is told. Deep-frozen; secrets are `Secret`s. */
export interface Config {
  readonly role: Role;
  /** Things to say at start: legal, but perhaps not what was meant. */
  readonly warnings: readonly string[];
  readonly dataDirectory: string;
  readonly logLevel: LogLevel;
  readonly shutdownGraceMs: number;
  readonly http: {
    readonly host: string;
    /** 0 takes a free port. */
    readonly port: number;
    readonly callbacksPort: number;
    readonly publicUrl: string | null;
    readonly bodyLimitBytes: number;
    readonly linkLifetimeMs: number;
  };
  readonly metrics: {
    readonly port: number;
    /** The port was not asked for: a free one will do when it is taken. */
    readonly mayGiveWay: boolean;
    readonly tasksPerWorker: number;
  };
  readonly database: DatabaseConfig;
  readonly queue: QueueConfig;
  readonly storage: BlobStoreConfig;
  readonly cdn: CdnConfig;
  /** Where events are published beside webhooks; null without Redis. */
  readonly redisEvents: RedisConfig | null;
  /** How long a start keeps trying to reach a part that does not answer. */
  readonly startTimeoutMs: number;
  readonly provider: 'kling' | 'sandbox';
  /** How many times faster than Kling the provider is expected to be; 1 for Kling itself. */
  readonly providerSpeed: number;
  readonly account: {
    readonly id: string;
    /** Null for the built-in sandbox, whose address is known when it runs. */
    readonly host: string | null;
    readonly apiKey: Secret | null;
    readonly accessKey: Secret | null;
    readonly secretKey: Secret | null;
  };
  /** Null unless this process runs the built-in sandbox. */
  readonly sandbox: { readonly port: number; readonly speed: number } | null;
  readonly kling: {
    readonly generation: 'auto' | 'legacy' | 'standard';
    readonly callbackUrl: string | null;
    readonly webhookSecrets: readonly Secret[];
    /** Tasks at once in each pool; null where the pack's name decides. */
    readonly slotsPerPool: number | null;
    readonly poolScope: 'model' | 'pack';
    readonly afterDoubt: 'resend' | 'hold';
    readonly postTimeoutMs: number;
    readonly readTimeoutMs: number;
    readonly settleDelayMs: number;
  };
  readonly videos: {
    readonly defaultModel: string;
    readonly retiredModels: 'accept' | 'refuse';
    /** First limit as an exact decimal; null for none. */
    readonly budgetCredits: string | null;
    /** Files that one worker copies at once. */
    readonly archiveConcurrency: number;
  };
  readonly timers: {
    readonly leaseMs: number;
    readonly sweepIntervalMs: number;
    readonly dispatchIntervalMs: number;
    readonly pollFloorMs: number;
    readonly republishAfterMs: number;
    readonly abandonAfterMs: number;
    readonly archiveRetryBaseMs: number;
    readonly archiveRetryCapMs: number;
  };
}

/** Every mistake of the configuration, one line each, beginning with the variable. The process exits with 78. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(['The configuration is not valid:', ...lines.map((line) => `  ${line}`)].join('\n'));
    this.lines = lines;
  }
}

const tierSlots = { free: 1, standard: 3, pro: 5, enterprise: 10 } as const;
const firstBudgetWithKling = '100';

/**
 * Reads the environment for one role; opens nothing.
 * @throws ConfigError with all mistakes at once
 */
export function readConfig(environment: Environment, role: Role): Config {
  const given = withoutEmpty(environment);
  const parsed = variablesSchema.safeParse(given);
  const mistakes: string[] = [];
  const wrong = new Set<PropertyKey>();
  for (const {
    path: [name = ''],
    message,
  } of parsed.error?.issues ?? []) {
    wrong.add(name);
    mistakes.push(`${String(name)} ${message}`);
  }
  // The rules between variables are checked on what is readable, so that one start shows all there is to correct.
  const readable = Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)));
  const variables = parsed.data ?? variablesSchema.parse(readable);
  mistakes.push(...findBrokenRules({ given, wrong, variables, role }));
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const warnings = findOddities({ given, wrong, variables, role });
  return deepFreeze(build(variables, role, warnings, new Set(Object.keys(given))));
}

function withoutEmpty(environment: Environment): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    const trimmed = value?.trim();
    if (trimmed) given[name] = trimmed;
  }
  return given;
}

function build(variables: Variables, role: Role, warnings: readonly string[], given: ReadonlySet<string>): Config {
  const dataDirectory = path.resolve(variables.DATA_DIR);
  const provider = providerOf(variables, role);
  return {
    role,
    warnings,
    dataDirectory,
    logLevel: variables.LOG_LEVEL,
    shutdownGraceMs: variables.SHUTDOWN_GRACE,
    http: {
      host: variables.HOST,
      port: variables.PORT,
      callbacksPort: variables.CALLBACKS_PORT,
      publicUrl: variables.PUBLIC_URL,
      bodyLimitBytes: variables.BODY_LIMIT,
      linkLifetimeMs: variables.LINK_SECONDS * 1_000,
    },
    metrics: {
      port: variables.METRICS_PORT,
      mayGiveWay: !given.has('METRICS_PORT'),
      tasksPerWorker: variables.TASKS_PER_WORKER,
    },
    ...buildParts(variables, dataDirectory),
    startTimeoutMs: variables.START_TIMEOUT,
    ...buildProvider(variables, provider, role),
    videos: {
      defaultModel: variables.DEFAULT_MODEL,
      retiredModels: variables.RETIRED_MODELS,
      budgetCredits: budgetOf(variables, provider),
      archiveConcurrency: variables.ARCHIVE_CONCURRENCY,
    },
    timers: buildTimers(variables),
  };
}

function buildProvider(
  variables: Variables,
  provider: Config['provider'],
  role: Role,
): Pick<Config, 'provider' | 'providerSpeed' | 'account' | 'sandbox' | 'kling'> {
  const builtIn = provider === 'sandbox' && variables.SANDBOX_URL === null;
  const { KLING_TIER: tier } = variables;
  return {
    provider,
    providerSpeed: provider === 'sandbox' ? variables.SANDBOX_SPEED : 1,
    account: {
      id: variables.KLING_ACCOUNT_ID,
      host: provider === 'sandbox' ? variables.SANDBOX_URL : (variables.KLING_BASE_URL ?? klingHosts.global),
      apiKey: variables.KLING_API_KEY,
      accessKey: variables.KLING_ACCESS_KEY,
      secretKey: variables.KLING_SECRET_KEY,
    },
    sandbox: builtIn && role === 'serve' ? { port: variables.SANDBOX_PORT, speed: variables.SANDBOX_SPEED } : null,
    kling: {
      generation: variables.KLING_GENERATION,
      callbackUrl: variables.KLING_CALLBACK_URL ?? variables.WEBHOOK_URL,
      webhookSecrets: variables.KLING_WEBHOOK_SECRET,
      slotsPerPool: variables.KLING_CONCURRENCY ?? (tier && tierSlots[tier]),
      poolScope: variables.POOL_SCOPE,
      afterDoubt: variables.KLING_AFTER_DOUBT,
      postTimeoutMs: variables.KLING_POST_TIMEOUT,
      readTimeoutMs: variables.KLING_READ_TIMEOUT,
      settleDelayMs: variables.KLING_SETTLE_DELAY,
    },
  };
}

function buildTimers(variables: Variables): Config['timers'] {
  return {
    leaseMs: variables.LEASE_MS,
    sweepIntervalMs: variables.SWEEP_INTERVAL,
    dispatchIntervalMs: variables.DISPATCH_INTERVAL,
    pollFloorMs: variables.POLL_FLOOR,
    republishAfterMs: variables.REPUBLISH_AFTER,
    abandonAfterMs: variables.ABANDON_AFTER,
    archiveRetryBaseMs: variables.ARCHIVE_RETRY_BASE,
    archiveRetryCapMs: variables.ARCHIVE_RETRY_CAP,
  };
}

/** The rules have made sure that nobody gets the sandbox unasked beside something real. */
function providerOf(variables: Variables, role: Role): Config['provider'] {
  const { KLING_PROVIDER: said, KLING_API_KEY: apiKey, KLING_ACCESS_KEY: accessKey } = variables;
  return said ?? (apiKey || accessKey || role !== 'serve' ? 'kling' : 'sandbox');
}

function budgetOf({ BUDGET_CREDITS: said }: Variables, provider: Config['provider']): string | null {
  if (said === 'unlimited') return null;
  return said ?? (provider === 'kling' ? firstBudgetWithKling : null);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Secret)) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
