import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Database } from '../db/database.ts';
import { databaseNow } from '../db/now.ts';
import { createId } from '../kernel/ids.ts';

/** Who calls: everything is seen through the workspace of the key. */
export interface Principal {
  readonly keyId: string;
  readonly workspaceId: string;
}

export interface Keys {
  /** The holder of a key; undefined for anything that is not a living key. */
  find(key: string): Promise<Principal | undefined>;
  /** Makes a key. Its text is returned this once and kept nowhere. */
  create(workspaceId: string, name: string): Promise<{ readonly id: string; readonly key: string }>;
}

/** A key as its owner may see it: without its text. */
export interface KeyRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

/** How long a revoked key may go on working in a process that has just seen it. */
const cacheMs = 10_000;
const cacheSize = 1_000;
const keyPattern = /^dls_[A-Za-z0-9_-]{43}$/;

/** API keys in the database, which holds only their SHA-256: a key has 256 random bits, so nothing slower is needed. */
export function createKeys(database: Pick<Database, 'kysely'>): Keys {
  const cache = new Map<string, { readonly principal: Principal; readonly untilMs: number }>();
  return {
    async find(key) {
      if (!keyPattern.test(key)) return undefined;
      const hash = hashKey(key);
      const cached = cache.get(hash);
      if (cached && cached.untilMs > performance.now()) return cached.principal;
      cache.delete(hash);
      const row = await database.kysely
        .selectFrom('api_keys')
        .select(['id', 'workspace_id'])
        .where('hash', '=', hash)
        .where('revoked_at', 'is', null)
        .executeTakeFirst();
      if (!row) return undefined; // misses are not kept: a key made a moment ago works at once
      const principal = { keyId: row.id, workspaceId: row.workspace_id };
      if (cache.size >= cacheSize) cache.clear();
      cache.set(hash, { principal, untilMs: performance.now() + cacheMs });
      return principal;
    },
    create: (workspaceId, name) => insertKey(database, workspaceId, name, createKey()),
  };
}

/**
 * Makes sure that a file holds a working key of the workspace (which must exist), and that only its owner can read it.
 * A key that is in the file already stays the same, also in an empty database.
 * @returns the key
 */
export async function ensureLocalKey(
  database: Pick<Database, 'kysely'>,
  file: string,
  workspaceId: string,
): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const written = text.trim();
  const key = keyPattern.test(written) ? written : createKey();
  if (key !== written) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${key}\n`, { mode: 0o600 });
  }
  await chmod(file, 0o600);
  await insertKey(database, workspaceId, 'local', key);
  return key;
}

/** Whether a text can be an API key. */
export function isKey(text: string): boolean {
  return keyPattern.test(text);
}

/** Makes a key that was chosen elsewhere work; one that was revoked stays revoked. */
export async function registerKey(
  database: Pick<Database, 'kysely'>,
  workspaceId: string,
  name: string,
  key: string,
): Promise<void> {
  if (!isKey(key)) throw new RangeError('An API key is dls_ and 43 letters, digits, hyphens and underscores.');
  await insertKey(database, workspaceId, name, key);
}

export async function listKeys({ kysely }: Pick<Database, 'kysely'>, workspaceId: string): Promise<KeyRecord[]> {
  const rows = await kysely
    .selectFrom('api_keys')
    .select(['id', 'name', 'created_at', 'revoked_at'])
    .where('workspace_id', '=', workspaceId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map((row) => ({ id: row.id, name: row.name, createdAt: row.created_at, revokedAt: row.revoked_at }));
}

/** Ends a key; processes that have just seen it refuse it within 10 s. @returns false when there is no living key of that id */
export async function revokeKey(
  { kysely }: Pick<Database, 'kysely'>,
  workspaceId: string,
  id: string,
): Promise<boolean> {
  const result = await kysely
    .updateTable('api_keys')
    .set({ revoked_at: databaseNow })
    .where('id', '=', id)
    .where('workspace_id', '=', workspaceId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

async function insertKey(
  database: Pick<Database, 'kysely'>,
  workspaceId: string,
  name: string,
  key: string,
): Promise<{ id: string; key: string }> {
  const id = createId('apiKey');
  await database.kysely
    .insertInto('api_keys')
    .values({ id, workspace_id: workspaceId, name, hash: hashKey(key) })
    .onConflict((conflict) => conflict.column('hash').doNothing())
    .execute();
  return { id, key };
}

function createKey(): string {
  return `dls_${randomBytes(32).toString('base64url')}`;
}

function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
