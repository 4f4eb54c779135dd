/** What a person does to an installation from outside: its schema and its API keys. */
import { createKeys, isKey, listKeys, registerKey, revokeKey, type KeyRecord } from './api/authentication.ts';
import { openPlatformDatabase, migrateServer, openServer } from './compose-database.ts';
import { defaultWorkspace, ensureInstallation } from './compose-installation.ts';
import type { StartPatience } from './compose-wait.ts';
import { ConfigError, readConfig, type Config, type Environment } from './config.ts';
import { ensureInstallationSecret } from './db/installation-secret.ts';
import { createReleaseStack } from './kernel/release-stack.ts';
import { createLogger } from './monitoring/log.ts';

export interface AdminOptions {
  readonly env: Environment;
  /** Ends the wait for a database that does not answer. */
  readonly signal: AbortSignal;
  /** Receives lines for the person who waits. */
  readonly out: (line: string) => void;
}

export interface Migrated {
  /** Names of the migrations that this call applied; other processes may have applied some at the same time. */
  readonly applied: readonly string[];
  /** The key of DAILIES_API_KEY works now. */
  readonly keyRegistered: boolean;
  /** Whether any API key works. */
  readonly hasKey: boolean;
}

/**
 * Brings the schema of DATABASE_URL up to date and makes what every installation has: workspace, budget, secrets, and the API key of
 * DAILIES_API_KEY when it is set. Safe when several run at once, and again.
 * @throws ConfigError; Error naming the database when it cannot be reached, or when its schema is newer
 */
export async function migrateInstallation(options: AdminOptions): Promise<Migrated> {
  const config = readServerConfig(options.env, 'dailies migrate');
  const key = options.env['DAILIES_API_KEY']?.trim();
  if (key && !isKey(key)) {
    throw new ConfigError(['DAILIES_API_KEY must be dls_ and 43 letters, digits, hyphens and underscores.']);
  }
  const patience = patienceOf(config, options);
  const applied = await migrateServer(config.database, patience);
  const database = await openServer({ ...config.database, maxConnections: 2 }, patience);
  try {
    await ensureInstallation(config, database);
    for (const name of ['links', 'callbacks', 'webhooks'] as const) {
      await ensureInstallationSecret(database.kysely, name);
    }
    if (key) await registerKey(database, defaultWorkspace, 'first', key);
    const keys = await listKeys(database, defaultWorkspace);
    return { applied, keyRegistered: Boolean(key), hasKey: keys.some(({ revokedAt }) => revokedAt === null) };
  } finally {
    await database.close();
  }
}

export interface KeyAdministration {
  /** The text of the key is returned this once and kept nowhere. */
  create(name: string): Promise<{ readonly id: string; readonly key: string }>;
  list(): Promise<readonly KeyRecord[]>;
  /** @returns false when there is no living key of that id */
  revoke(id: string): Promise<boolean>;
}

/**
 * Opens the keys of an installation: of DATABASE_URL, else of the data folder, whose server must be stopped.
 * @throws ConfigError; Error saying why the database cannot be used
 */
export async function withKeys<T>(options: AdminOptions, work: (keys: KeyAdministration) => Promise<T>): Promise<T> {
  const { env } = options;
  const config = env['DATABASE_URL']?.trim()
    ? readServerConfig(env, 'dailies keys')
    : readConfig({ DATA_DIR: env['DATA_DIR'] }, 'serve');
  const log = createLogger({ level: 'silent', format: 'json' });
  const stack = createReleaseStack();
  try {
    const database = await openPlatformDatabase(config, log, stack, patienceOf(config, options));
    await ensureInstallation(config, database);
    return await work({
      create: (name) => createKeys(database).create(defaultWorkspace, name),
      list: () => listKeys(database, defaultWorkspace),
      revoke: (id) => revokeKey(database, defaultWorkspace, id),
    });
  } finally {
    await stack.release();
  }
}

type ServerConfig = Config & { readonly database: Extract<Config['database'], { driver: 'postgres' }> };

/** Configuration of a verb that needs the database and nothing else. */
export function readServerConfig(env: Environment, verb: string): ServerConfig {
  if (!env['DATABASE_URL']?.trim()) {
    throw new ConfigError([`DATABASE_URL is needed by \`${verb}\`: the address of the PostgreSQL database.`]);
  }
  const config = readConfig(env, 'callbacks'); // the role that needs least
  const { database } = config;
  if (database.driver !== 'postgres') throw new Error('DATABASE_URL did not choose PostgreSQL');
  return { ...config, database };
}

export function patienceOf(config: Config, { signal, out }: AdminOptions): StartPatience {
  return { timeoutMs: config.startTimeoutMs, signal, out };
}
