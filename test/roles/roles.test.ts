import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startGcs } from '../servers/gcs.ts';
import { askPostgres, createPostgresDatabase, reachablePostgres, type EmptyDatabase } from '../servers/postgres.ts';
import { eventually, freePort, tempFolder } from '../servers/spawn.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { addressOf, createApi, runDailies, startDailies, type Env, type Running } from './dailies.ts';

const serverUrl = await reachablePostgres();
const hook = fileURLToPath(new URL('./loaded.mjs', import.meta.url));

async function emptyDatabase(): Promise<EmptyDatabase> {
  const database = await createPostgresDatabase(serverUrl ?? '');
  onTestFinished(() => database.drop());
  return database;
}

async function folderOf(name: string): Promise<string> {
  const folder = await tempFolder(name);
  onTestFinished(() => folder.remove());
  return folder.path;
}

function start(args: readonly string[], env: Env, nodeArgs: readonly string[] = []): Running {
  const running = startDailies(args, env, nodeArgs);
  onTestFinished(async () => void (await running.stop()));
  return running;
}

describe.skipIf(serverUrl === null)(`dailies migrate${serverUrl === null ? ' (no PostgreSQL answers)' : ''}`, () => {
  test('several at once on a new database all succeed, and each migration is applied once', async () => {
    const { url } = await emptyDatabase();
    const all = await Promise.all(
      Array.from({ length: 4 }, () => runDailies(['migrate', '--json'], { DATABASE_URL: url })),
    );
    expect(all.map(({ code, output }) => (code === 0 ? 0 : output))).toEqual([0, 0, 0, 0]);
    const applied = all.flatMap(({ output }) => (JSON.parse(output) as { applied: string[] }).applied);
    const rows = await askPostgres(url, 'select name from schema_migrations order by name');
    expect(applied.toSorted()).toEqual(rows.map(({ name }) => name));
    expect(await askPostgres(url, 'select id from workspaces')).toEqual([{ id: 'ws_default' }]);
  });

  test('the key of DAILIES_API_KEY works afterwards, is stored as a hash and printed nowhere', async () => {
    const { url } = await emptyDatabase();
    const key = `dls_${'k'.repeat(43)}`;
    const env = { DATABASE_URL: url, DAILIES_API_KEY: key };
    const first = await runDailies(['migrate'], env);
    expect(first.output).toContain('The API key of DAILIES_API_KEY works.');
    expect((await runDailies(['migrate'], env)).code).toBe(0);
    const api = start(['api'], {
      DATABASE_URL: url,
      DATA_DIR: await folderOf('api'),
      PORT: '0',
      KLING_PROVIDER: 'sandbox',
    });
    expect((await createApi(await addressOf(api), key).get('/api/videos')).status).toBe(200);
    expect(JSON.stringify(await askPostgres(url, 'select * from api_keys'))).not.toContain(key);
    expect(first.output + api.output()).not.toContain(key);
    const wrong = await runDailies(['migrate'], { ...env, DAILIES_API_KEY: 'too-short' });
    expect(wrong).toMatchObject({ code: 78, output: expect.stringContaining('DAILIES_API_KEY') });
  });

  test('without DATABASE_URL it ends with 78 and names it; a database that does not answer with 69, named, without the password', async () => {
    const missing = await runDailies(['migrate'], {});
    expect(missing).toMatchObject({
      code: 78,
      output: expect.stringContaining('DATABASE_URL is needed by `dailies migrate`'),
    });
    const url = `postgres://user:secret-word@127.0.0.1:${await freePort()}/x`;
    const away = await runDailies(['migrate'], { DATABASE_URL: url, START_TIMEOUT: '1000' });
    expect(away).toMatchObject({
      code: 69,
      output: expect.stringMatching(/database of DATABASE_URL \(127\.0\.0\.1:\d+\) cannot be reached/),
    });
    expect(away.output).not.toContain('secret-word');
  });

  test('keys are made, listed without their text and revoked without a running server', async () => {
    const { url } = await emptyDatabase();
    const env = { DATABASE_URL: url };
    await runDailies(['migrate'], env);
    const made = await runDailies(['keys', 'create', '--name', 'web', '--json'], env);
    const { id, key } = JSON.parse(made.output) as { id: string; key: string };
    expect(key).toMatch(/^dls_[\w-]{43}$/);
    const listed = await runDailies(['keys', 'list'], env);
    expect(listed.output).toContain(id);
    expect(listed.output).not.toContain(key);
    const api = start(['api'], { ...env, DATA_DIR: await folderOf('api'), PORT: '0', KLING_PROVIDER: 'sandbox' });
    const client = createApi(await addressOf(api), key);
    expect((await runDailies(['keys', 'revoke', id], env)).code).toBe(0);
    await eventually('the key is refused', async () => (await client.get('/api/videos')).status === 401);
    expect((await runDailies(['keys', 'revoke', id], env)).code).toBe(3);
  });
});

describe.skipIf(serverUrl === null)(`a single role${serverUrl === null ? ' (no PostgreSQL answers)' : ''}`, () => {
  let dropped: EmptyDatabase;
  beforeAll(async () => {
    dropped = await createPostgresDatabase(serverUrl ?? '');
    await runDailies(['migrate'], { DATABASE_URL: dropped.url });
    return () => dropped.drop();
  });

  test.each(['api', 'worker', 'callbacks'])('%s refuses an older and a newer schema by name, at once', async (role) => {
    const { url } = await emptyDatabase();
    const env = {
      DATABASE_URL: url,
      DATA_DIR: await folderOf('data'),
      KLING_PROVIDER: 'sandbox',
      SANDBOX_URL: 'http://127.0.0.1:1',
    };
    const older = await runDailies([role], env);
    expect(older).toMatchObject({
      code: 69,
      output: expect.stringMatching(/older than.*0001-first.*dailies migrate/s),
    });
    await runDailies(['migrate'], env);
    await askPostgres(url, `insert into schema_migrations (name, timestamp) values ('9999-future', '2099')`);
    const newer = await runDailies([role], env);
    expect(newer).toMatchObject({ code: 69, output: expect.stringMatching(/newer than.*9999-future/s) });
    expect(older.output + newer.output).not.toContain('Waiting');
  });

  test.each([
    {
      role: 'callbacks',
      env: {},
      never: [
        '@aws-sdk',
        '@google-cloud',
        'bullmq',
        'ioredis',
        '@electric-sql/pglite',
        '/api/app.ts',
        'worker/worker.ts',
        'packages/sandbox',
      ],
    },
    {
      role: 'api',
      env: { DATA_DIR: 'data' },
      never: [
        '@aws-sdk',
        '@google-cloud',
        'bullmq',
        'ioredis',
        '@electric-sql/pglite',
        'worker/worker.ts',
        'callbacks/receiver.ts',
        'packages/sandbox',
      ],
    },
    {
      role: 'worker',
      env: { DATA_DIR: 'data', KLING_API_KEY: 'key', KLING_BASE_URL: 'http://127.0.0.1:1', KLING_CONCURRENCY: '1' },
      never: [
        '@aws-sdk',
        '@google-cloud',
        'bullmq',
        'ioredis',
        '@electric-sql/pglite',
        '/fastify/',
        '/api/app.ts',
        'packages/sandbox',
      ],
    },
  ])(
    '$role starts with its own variables alone, and loads no part that it does not run',
    async ({ role, env, never }) => {
      const folder = await folderOf(role);
      const file = join(folder, 'loaded');
      await writeFile(file, '');
      const data = 'DATA_DIR' in env ? { DATA_DIR: join(folder, 'data') } : {};
      const all = {
        DATABASE_URL: dropped.url,
        LOADED_MODULES: file,
        PORT: '0',
        CALLBACKS_PORT: '0',
        METRICS_PORT: '0',
        ...env,
        ...data,
      };
      const running = start([role], all, ['--import', hook]);
      await addressOf(running);
      const loaded = await readFile(file, 'utf8');
      expect(loaded).toContain('db/postgres.ts');
      expect(never.filter((name) => loaded.includes(name))).toEqual([]);
      expect((await running.stop()).code).toBe(0);
    },
  );

  test('waits for a database that is not there yet, says so, and starts when it comes', async () => {
    const { port, hostname, pathname } = new URL(dropped.url);
    const proxy = await startFaultProxy({ host: hostname, port: Number(port || 5432) });
    onTestFinished(() => proxy.stop());
    proxy.refuse();
    const url = `postgres://postgres@127.0.0.1:${proxy.port}${pathname}`;
    const running = start(['callbacks'], { DATABASE_URL: url, CALLBACKS_PORT: '0', METRICS_PORT: '0' });
    await running.says(/Waiting for the database of DATABASE_URL \(127\.0\.0\.1:\d+\), up to 60 s/);
    proxy.mend();
    await running.says(/can be reached now/);
    await addressOf(running);
  });

  test('ends at once when it is stopped while it waits', async () => {
    const url = `postgres://postgres@127.0.0.1:${await freePort()}/x`;
    const running = start(['callbacks'], { DATABASE_URL: url });
    await running.says(/Waiting/);
    const begun = performance.now();
    expect((await running.stop()).code).toBe(0);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test('an engine and a storage that do not answer end the start with 69, named by variable and host', async () => {
    const port = await freePort();
    const base = { DATABASE_URL: dropped.url, START_TIMEOUT: '1000', KLING_PROVIDER: 'sandbox', PORT: '0' };
    const s3 = {
      S3_BUCKET: 'films',
      S3_ENDPOINT: `http://127.0.0.1:${port}`,
      S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: 'secret-word',
    };
    const storage = await runDailies(['api'], { ...base, ...s3 });
    expect(storage).toMatchObject({
      code: 69,
      output: expect.stringContaining(`the storage of S3_BUCKET (films at 127.0.0.1:${port}) cannot be reached`),
    });
    expect(storage.output).not.toContain('secret-word');
    const redis = { REDIS_URL: `redis://:secret-word@127.0.0.1:${port}`, DATA_DIR: await folderOf('data') };
    const engine = await runDailies(['api'], { ...base, ...redis });
    expect(engine).toMatchObject({
      code: 69,
      output: expect.stringContaining(`the queue engine of REDIS_URL (127.0.0.1:${port}) cannot be reached`),
    });
    expect(engine.output).not.toContain('secret-word');
  });

  test('what refuses ends the start at once, and is named by its variable', async () => {
    const gcs = await startGcs();
    onTestFinished(() => gcs.stop());
    const base = { DATABASE_URL: dropped.url, KLING_PROVIDER: 'sandbox', PORT: '0' };
    const bucket = {
      GCS_BUCKET: 'no-such-bucket',
      GCS_ENDPOINT: gcs.endpoint,
      GOOGLE_APPLICATION_CREDENTIALS: gcs.credentialsFile,
    };
    expect(await runDailies(['api'], { ...base, ...bucket })).toMatchObject({
      code: 69,
      output: expect.stringMatching(
        /^Dailies could not start: the storage of GCS_BUCKET \(no-such-bucket at .* cannot be used/,
      ),
    });
    const database = { DATABASE_URL: new URL('/no-such-database', dropped.url).href, DATA_DIR: await folderOf('data') };
    expect(await runDailies(['api'], { ...base, ...database })).toMatchObject({
      code: 69,
      output: expect.stringMatching(
        /^Dailies could not start: the database of DATABASE_URL \(.*\) cannot be used: .*no-such-/,
      ),
    });
  });
});
