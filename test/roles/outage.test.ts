import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSandbox } from '@dailies/sandbox';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { startGcs } from '../servers/gcs.ts';
import { missingPostgres, startPostgres, type PostgresServer } from '../servers/postgres.ts';
import { missingRedis, startRedis } from '../servers/redis.ts';
import { eventually, tempFolder, type TempFolder } from '../servers/spawn.ts';
import { addressOf, createApi, runDailies, startDailies, type Api, type Running } from './dailies.ts';

const missing = missingPostgres();
const key = `dls_${'o'.repeat(43)}`;
const prompt = { prompt: 'a red fox' };

/** Readiness names the part that is away, and stays 200, at the api and where orchestrators look. */
async function staysInService(running: Running, url: string, part: string): Promise<void> {
  const metrics = /(http:\S+)\/metrics/.exec(running.output())?.[1] ?? 'none';
  for (const address of [url, metrics]) {
    await eventually(`${part} is reported`, async () => {
      const answer = await fetch(`${address}/readyz`);
      expect(answer.status).toBe(200);
      const report = (await answer.json()) as { status: string; checks: Record<string, { ok: boolean }> };
      return report.status === 'degraded' && report.checks[part]?.ok === false && report.checks['database']?.ok;
    });
  }
}

describe.skipIf(missing)(`an outage of the database${missing ? ` (${missing})` : ''}`, () => {
  let server: PostgresServer;
  let proxy: FaultProxy;
  let folder: TempFolder;
  let sandbox: Awaited<ReturnType<typeof startSandbox>>;
  const running: Running[] = [];
  let api: Api;
  let url = '';

  beforeAll(async () => {
    server = await startPostgres();
    proxy = await startFaultProxy({ port: server.port });
    folder = await tempFolder('outage');
    sandbox = await startSandbox({ port: 0, host: '127.0.0.1', speed: 50, files: 'tiny' });
    const env = {
      DATABASE_URL: server.url.replace(`:${server.port}/`, `:${proxy.port}/`),
      DATABASE_CONNECT_TIMEOUT: '2000',
      DATABASE_STATEMENT_TIMEOUT: '2000',
      DATA_DIR: folder.path,
      DAILIES_API_KEY: key,
      KLING_PROVIDER: 'sandbox',
      SANDBOX_URL: sandbox.url,
      SANDBOX_SPEED: '50',
      // A worker that lost its database holds what it had in hand for no longer than this.
      LEASE_MS: '5000',
      KLING_POST_TIMEOUT: '3000',
      REPUBLISH_AFTER: '500',
      SWEEP_INTERVAL: '200',
      PORT: '0',
      METRICS_PORT: '0',
    };
    expect((await runDailies(['migrate'], env)).code).toBe(0);
    running.push(startDailies(['worker'], env), startDailies(['api'], env));
    const [, second] = running;
    await running[0]?.says(/is ready/);
    url = second ? await addressOf(second) : '';
    api = createApi(url, key);
    await eventually('a first video is made', async () => (await make()).status === 202);
  });
  afterAll(async () => {
    proxy.mend();
    await Promise.all(running.map((each) => each.stop()));
    await sandbox.close();
    await proxy.stop();
    await server.stop();
    await folder.remove();
  });

  async function make(idempotencyKey?: string): ReturnType<Api['post']> {
    return api.post('/api/videos', prompt, idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey });
  }

  async function completes(id: unknown): Promise<void> {
    await eventually(`${String(id)} is completed`, async () => {
      const { status, body } = await api.get(`/api/videos/${String(id)}`);
      return status === 200 && body['status'] === 'completed';
    });
  }

  async function terminateAll(): Promise<void> {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = $1',
      ['client backend'],
    );
    await client.end();
  }

  async function isUnavailable(answer: Awaited<ReturnType<Api['get']>>): Promise<void> {
    expect(answer).toMatchObject({ status: 503, body: { code: 'database_unavailable', retryable: true } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(answer.body)).not.toMatch(/ECONN|127\.0\.0\.1:\d+\/postgres|select /);
  }

  test('every connection terminated at once: the next requests and videos work by themselves', async () => {
    const before = await make();
    await terminateAll();
    await completes(before.body['id']);
    await eventually('a create is accepted', async () => (await make()).status === 202);
  });

  test('while it refuses, creates and reads are 503 with Retry-After and the process is not ready; afterwards all goes on', async () => {
    const before = await make();
    proxy.refuse();
    proxy.cut();
    await isUnavailable(await make());
    await isUnavailable(await api.get('/api/videos'));
    const ready = await api.get('/readyz');
    expect(ready).toMatchObject({ status: 503, body: { status: 'not_ready' } });
    expect((await api.get('/healthz')).status).toBe(200);
    proxy.mend();
    await eventually('a create is accepted', async () => (await make()).status === 202);
    await completes(before.body['id']);
  });

  test('while it is silent, requests end in their time, and afterwards all goes on', async () => {
    const before = await make();
    proxy.blackHole();
    await isUnavailable(await make());
    proxy.mend();
    await eventually('a create is accepted', async () => (await make()).status === 202);
    await completes(before.body['id']);
  });

  test('a restart of the server loses nothing that was accepted', async () => {
    const before = await Promise.all(Array.from({ length: 5 }, () => make()));
    await server.halt();
    await isUnavailable(await make());
    await server.resume();
    for (const { body } of before) await completes(body['id']);
  });

  test('an event stream outlives an outage and loses no event', async () => {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const response = await fetch(`${url}/api/events`, {
      headers: { authorization: `Bearer ${key}` },
      signal: stop.signal,
    });
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => {});
    await eventually('the stream is open', () => text.includes('event: ready'));
    proxy.refuse();
    proxy.cut();
    await isUnavailable(await make());
    proxy.mend();
    const made = await eventually('a create is accepted', async () => {
      const answer = await make();
      return answer.status === 202 && answer;
    });
    await eventually('its end comes through the same stream', () =>
      text
        .split('\n\n')
        .some((message) => message.includes('event: video.completed') && message.includes(String(made.body['id']))),
    );
    stop.abort();
    await reading;
  });

  test('creates that are broken off at any moment are made once when they are repeated with their key', async () => {
    const keys = Array.from({ length: 24 }, (_each, index) => `broken-${index}`);
    const seen = new Set<unknown>();
    const first = keys.map((each) => make(each));
    const cutting = (async () => {
      for (let cuts = 0; cuts < 12; cuts++) {
        proxy.cut();
        await new Promise((resolve) => setImmediate(resolve));
        await api.get('/healthz');
      }
    })();
    const answers = await Promise.all(first);
    await cutting;
    for (const answer of answers) {
      expect([202, 503]).toContain(answer.status);
      if (answer.status === 503) expect(answer.body['code']).toBe('database_unavailable');
    }
    const byKey = new Map(answers.map((answer, index) => [keys[index] ?? '', answer]));
    for (const each of keys) {
      const repeated = await eventually(`${each} is accepted`, async () => {
        const answer = await make(each);
        return answer.status === 202 && answer;
      });
      const before = byKey.get(each);
      if (before?.status === 202) expect(repeated.body['id']).toBe(before.body['id']);
      seen.add(repeated.body['id']);
    }
    expect(seen.size).toBe(keys.length);
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const { rows } =
      await client.query(`select count(*)::int as videos, count(distinct video_id)::int as held from videos
      join idempotency_keys on idempotency_keys.video_id = videos.id where key like 'broken-%'`);
    const all = await client.query(`select count(*)::int as orphans from videos
      where not exists (select 1 from ledger_entries where video_id = videos.id)`);
    await client.end();
    expect(rows).toEqual([{ videos: keys.length, held: keys.length }]);
    expect(all.rows).toEqual([{ orphans: 0 }]);
  });

  test('Kling was asked to make each video exactly once, and every loop said its failure once an episode', async () => {
    await eventually('nothing is in flight', async () => {
      const { body } = await api.get('/api/videos?status=queued,submitting,generating,archiving');
      return Array.isArray(body['data']) && body['data'].length === 0;
    });
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const { rows } = await client.query(`select (select count(*)::int from videos) as videos,
      (select count(*)::int from videos where state = 'completed') as completed, (select sum(amount)::text from ledger_entries) as ledger,
      (select count(*)::int from dead_letters where dead_at is not null) as dead`);
    await client.end();
    const stats = (await (await fetch(`${sandbox.url}/_sandbox/stats`)).json()) as Record<string, unknown>;
    const [counts] = rows as [{ videos: number; completed: number }];
    expect(counts).toMatchObject({ completed: counts.videos, dead: 0 });
    expect(Number(rows[0]?.ledger)).toBe(0);
    expect(stats).toMatchObject({ creates_accepted: counts.videos, max_creates_per_external_id: 1 });
    const said =
      running[0]
        ?.output()
        .split('\n')
        .filter((line) => line.includes('Polling failed')) ?? [];
    expect(said.length).toBeLessThan(12);
  });
});

const noRedis = missingRedis();
describe.skipIf(noRedis)(`an outage of the queue engine${noRedis ? ` (${noRedis})` : ''}`, () => {
  test('creates are accepted all the same, and made when it is back', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const folder = await tempFolder('queue-outage');
    onTestFinished(() => folder.remove());
    const running = startDailies(['serve'], {
      DATA_DIR: folder.path,
      KLING_PROVIDER: 'sandbox',
      REDIS_URL: redis.url,
      SANDBOX_SPEED: '200',
      REPUBLISH_AFTER: '500',
      SWEEP_INTERVAL: '200',
      PORT: '0',
      CALLBACKS_PORT: '0',
      SANDBOX_PORT: '0',
      METRICS_PORT: '0',
    });
    onTestFinished(async () => void (await running.stop()));
    const url = await addressOf(running);
    const api = createApi(url, (await readFile(join(folder.path, 'api-key'), 'utf8')).trim());
    await redis.halt();
    const made = await Promise.all(Array.from({ length: 3 }, () => api.post('/api/videos', prompt)));
    expect(made.map(({ status }) => status)).toEqual([202, 202, 202]);
    await staysInService(running, url, 'queue');
    await redis.resume();
    for (const { body } of made) {
      const path = `/api/videos/${String(body['id'])}`;
      await eventually(
        `${path} is completed`,
        async () => (await api.get(path)).body['status'] === 'completed',
        90_000,
      );
    }
  });
});

describe.skipIf(missing)(`an outage of the storage${missing ? ` (${missing})` : ''}`, () => {
  test('the file is 503 with Retry-After, and everything else works', async () => {
    const folder = await tempFolder('storage-outage');
    onTestFinished(() => folder.remove());
    const env = {
      DATA_DIR: folder.path,
      PORT: '0',
      CALLBACKS_PORT: '0',
      SANDBOX_PORT: '0',
      SANDBOX_SPEED: '500',
      METRICS_PORT: '0',
    };
    const running = startDailies(['serve'], env);
    onTestFinished(async () => void (await running.stop()));
    const url = await addressOf(running);
    const api = createApi(url, (await readFile(join(folder.path, 'api-key'), 'utf8')).trim());
    const { body } = await api.post('/api/videos', prompt);
    const path = `/api/videos/${String(body['id'])}`;
    await eventually('it is completed', async () => (await api.get(path)).body['status'] === 'completed');
    expect((await api.get(`${path}/content`)).status).toBe(200);
    // What was the folder of the files is none any more: a disk that is gone.
    await rm(join(folder.path, 'files'), { recursive: true });
    await writeFile(join(folder.path, 'files'), '');
    const away = await api.get(`${path}/content`);
    expect(away.status).toBe(503);
    expect(away.headers.get('retry-after')).toBe('5');
    expect((await api.get(path)).status).toBe(200);
    expect((await api.post('/api/videos', prompt)).status).toBe(202);
    await staysInService(running, url, 'storage');
    await rm(join(folder.path, 'files'));
    await mkdir(join(folder.path, 'files'));
  });

  test('a bucket that falls silent is 503 within seconds, not a request that hangs', async () => {
    const gcs = await startGcs();
    onTestFinished(() => gcs.stop());
    const proxy = await startFaultProxy({ port: Number(new URL(gcs.endpoint).port) });
    onTestFinished(() => proxy.stop());
    const folder = await tempFolder('silent-storage');
    onTestFinished(() => folder.remove());
    const running = startDailies(['serve'], {
      DATA_DIR: folder.path,
      KLING_PROVIDER: 'sandbox',
      GCS_BUCKET: gcs.makeBucket(),
      GCS_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
      GOOGLE_APPLICATION_CREDENTIALS: gcs.credentialsFile,
      PORT: '0',
      CALLBACKS_PORT: '0',
      SANDBOX_PORT: '0',
      SANDBOX_SPEED: '500',
      METRICS_PORT: '0',
      SHUTDOWN_GRACE: '200',
    });
    onTestFinished(async () => void (await running.stop()));
    const api = createApi(await addressOf(running), (await readFile(join(folder.path, 'api-key'), 'utf8')).trim());
    const { body } = await api.post('/api/videos', prompt);
    const path = `/api/videos/${String(body['id'])}`;
    await eventually('it is completed', async () => (await api.get(path)).body['status'] === 'completed');
    expect((await api.get(`${path}/content`)).status).toBe(200);
    proxy.blackHole();
    const begunMs = performance.now();
    expect(await api.get(`${path}/content`)).toMatchObject({ status: 503, body: { code: 'storage_unavailable' } });
    expect(performance.now() - begunMs).toBeLessThan(25_000);
    expect((await api.post('/api/videos', prompt)).status).toBe(202);
    proxy.mend();
    expect((await api.get(`${path}/content`)).status).toBe(200);
  });
});
