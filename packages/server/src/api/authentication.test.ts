import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../test/support/database.ts';
import type { Database } from '../db/database.ts';
import { createKeys, ensureLocalKey } from './authentication.ts';

let database: Database;
let folder: string;

beforeAll(async () => {
  database = await openTestDatabase();
  await database.kysely.insertInto('workspaces').values({ id: 'ws_one', name: 'one' }).execute();
  folder = await mkdtemp(join(tmpdir(), 'dailies-keys-'));
});

afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true });
});

test('a key opens its workspace, and the database does not hold its text', async () => {
  const keys = createKeys(database);
  const { id, key } = await keys.create('ws_one', 'test');
  expect(key).toMatch(/^dls_[\w-]{43}$/);
  expect(await keys.find(key)).toEqual({ keyId: id, workspaceId: 'ws_one' });
  const rows = await database.kysely.selectFrom('api_keys').selectAll().execute();
  expect(JSON.stringify(rows)).not.toContain(key.slice(4));
});

test('what is not a living key opens nothing', async () => {
  const keys = createKeys(database);
  const { id, key } = await keys.create('ws_one', 'revoked');
  await database.kysely.updateTable('api_keys').set({ revoked_at: new Date() }).where('id', '=', id).execute();
  for (const text of [key, '', 'dls_', `${key}x`, `dls_${'a'.repeat(43)}`, "dls_' or 1=1"]) {
    expect(await keys.find(text)).toBeUndefined();
  }
});

test('the local key is made once, works, and is for its owner only', async () => {
  const file = join(folder, 'deep', 'api-key');
  const key = await ensureLocalKey(database, file, 'ws_one');
  expect(await ensureLocalKey(database, file, 'ws_one')).toBe(key);
  expect(await readFile(file, 'utf8')).toBe(`${key}\n`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await createKeys(database).find(key)).toMatchObject({ workspaceId: 'ws_one' });
});

test('a file that holds no key gets one, and its mode is repaired', async () => {
  const file = join(folder, 'api-key');
  await writeFile(file, 'not a key\n', { mode: 0o644 });
  const key = await ensureLocalKey(database, file, 'ws_one');
  expect(key).toMatch(/^dls_/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});
