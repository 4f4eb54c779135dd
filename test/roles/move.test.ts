import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { startSandbox } from '@dailies/sandbox';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  askPostgres,
  createPostgresDatabase,
  missingPostgres,
  startPostgres,
  type EmptyDatabase,
  type PostgresServer,
} from '../servers/postgres.ts';
import { eventually, tempFolder, type TempFolder } from '../servers/spawn.ts';
import {
  addressOf,
  createApi,
  runDailies,
  startDailies,
  copyOfData,
  startForTest,
  type Api,
  type Env,
} from './dailies.ts';

const missing = missingPostgres();
/** A new cluster, whose transaction ids are far behind those of the embedded database. */
let server: PostgresServer;
const prompts = Array.from({ length: 10 }, (_each, index) => `film number ${index}`);

async function emptyDatabase(): Promise<EmptyDatabase> {
  const database = await createPostgresDatabase(server.url);
  onTestFinished(() => database.drop());
  return database;
}

/** Of every file but those that only a running server has. */
async function fingerprints(folder: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile())
      all[path] = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
  }
  return all;
}

/** Reads a stream of events until `enough` says so. @returns ids and types of the events, in order */
async function readEvents(
  url: string,
  key: string,
  lastEventId: string | null,
  enough: (events: readonly StreamEvent[]) => boolean,
): Promise<StreamEvent[]> {
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${key}`, ...(lastEventId === null ? {} : { 'last-event-id': lastEventId }) };
  const response = await fetch(`${url}/api/events`, { headers, signal: stop.signal });
  let text = '';
  let events: StreamEvent[] = [];
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    events = text.split('\n\n').flatMap((message) => {
      const id = /^id: (.+)$/m.exec(message)?.[1];
      const data = /^data: (.+)$/m.exec(message)?.[1];
      return id && data ? [{ id, type: /^event: (.+)$/m.exec(message)?.[1] ?? '', data }] : [];
    });
    if (enough(events)) break;
  }
  stop.abort();
  return events;
}

interface StreamEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

describe.skipIf(missing)(`dailies move${missing ? ` (${missing})` : ''}`, () => {
  let folder: TempFolder;
  let sandbox: Awaited<ReturnType<typeof startSandbox>>;
  let env: Env;
  let key = '';
  /** Where a stream of the embedded server began, before its first event. */
  let firstEventId = '';
  const ids: string[] = [];

  /** An embedded server with ten videos: some completed, some at Kling, some waiting; stopped in the middle. */
  beforeAll(async () => {
    server = await startPostgres();
    folder = await tempFolder('move');
    sandbox = await startSandbox({ port: 0, host: '127.0.0.1', taskMs: 3_000, slots: 2, files: 'tiny' });
    env = {
      DATA_DIR: join(folder.path, 'data'),
      KLING_PROVIDER: 'sandbox',
      SANDBOX_URL: sandbox.url,
      SANDBOX_SPEED: '50',
      KLING_CONCURRENCY: '2',
      PORT: '0',
      CALLBACKS_PORT: '0',
      METRICS_PORT: '0',
      SHUTDOWN_GRACE: '200',
    };
    const running = startDailies(['serve'], env);
    const url = await addressOf(running);
    key = (await readFile(join(folder.path, 'data', 'api-key'), 'utf8')).trim();
    const api = createApi(url, key);
    firstEventId = (await readEvents(url, key, null, (events) => events.length > 0))[0]?.id ?? '';
    for (const prompt of prompts) {
      const { body } = await api.post('/api/videos', { prompt }, { 'idempotency-key': prompt });
      ids.push(String(body['id']));
    }
    await eventually(
      'three are completed',
      async () => (await states(api)).filter((state) => state === 'completed').length >= 3,
    );
    const before = await states(api);
    expect(new Set(before).size).toBeGreaterThanOrEqual(2);
    expect((await running.stop()).code).toBe(0);
  });
  afterAll(async () => {
    await sandbox.close();
    await server.stop();
    await folder.remove();
  });

  async function states(api: Api): Promise<unknown[]> {
    return Promise.all(ids.map(async (id) => (await api.get(`/api/videos/${id}`)).body['status']));
  }

  test('refuses a database with anything in it, and leaves both sides as they were', async () => {
    const data = await copyOfData(folder.path);
    const { url } = await emptyDatabase();
    await runDailies(['migrate'], { DATABASE_URL: url });
    const refused = await runDailies(['move', '--to', url], { ...env, DATA_DIR: data });
    expect(refused).toMatchObject({ code: 69, output: expect.stringMatching(/is not empty \(.*workspaces/) });
    expect(await askPostgres(url, 'select count(*)::int as count from videos')).toEqual([{ count: 0 }]);
    const again = startForTest(['serve'], { ...env, DATA_DIR: data, SANDBOX_URL: 'http://127.0.0.1:1' });
    await addressOf(again);
  });

  test('refuses a running server, a folder without a database, and a missing target, each by name', async () => {
    const data = await copyOfData(folder.path);
    const { url } = await emptyDatabase();
    const running = startForTest(['serve'], { ...env, DATA_DIR: data, SANDBOX_URL: 'http://127.0.0.1:1' });
    await addressOf(running);
    const busy = await runDailies(['move', '--to', url], { ...env, DATA_DIR: data });
    expect(busy).toMatchObject({
      code: 69,
      output: expect.stringContaining('is in use by the server with process id'),
    });
    const none = await runDailies(['move', '--to', url], { ...env, DATA_DIR: join(folder.path, 'none') });
    expect(none).toMatchObject({ code: 69, output: expect.stringContaining('no embedded database') });
    expect(await runDailies(['move'], env)).toMatchObject({
      code: 78,
      output: expect.stringContaining('DATABASE_URL'),
    });
    const files = await runDailies(['move', '--to', url, '--files'], env);
    expect(files).toMatchObject({ code: 78, output: expect.stringContaining('S3_BUCKET or GCS_BUCKET') });
  });

  test('takes everything along: videos in flight are made once each, money, keys and event streams go on', async () => {
    const data = join(folder.path, 'data');
    const files = await fingerprints(join(data, 'files'));
    const { url } = await emptyDatabase();
    const moved = await runDailies(['move', '--to', url, '--json'], env);
    expect(moved.code, moved.output).toBe(0);
    const report = JSON.parse(moved.output) as { rows: Record<string, number>; ledger: Record<string, string> };
    expect(report.rows).toMatchObject({ videos: 10, idempotency_keys: 10, api_keys: 1 });
    expect(Object.values(report.ledger).reduce((sum, each) => sum + Number(each), 0)).toBe(0);
    expect(await fingerprints(join(data, 'files'))).toEqual(files);
    // What the next transaction gives its events lies above all that came along, whatever its own number is.
    expect(await askPostgres(url, 'select dailies_event_xid() > max(xid) as above from events')).toEqual([
      { above: true },
    ]);

    const old = await runDailies(['serve'], env);
    expect(old).toMatchObject({ code: 69, output: expect.stringMatching(/was moved to .*start with DATABASE_URL/) });
    expect((await runDailies(['move', '--to', url], env)).output).toContain('is not empty');

    const running = startForTest(['serve'], { ...env, DATABASE_URL: url });
    const address = await addressOf(running);
    const api = createApi(address, key);
    await eventually('all ten are completed', async () => (await states(api)).every((state) => state === 'completed'));
    const stats = (await (await fetch(`${sandbox.url}/_sandbox/stats`)).json()) as Record<string, unknown>;
    expect(stats).toMatchObject({ creates_accepted: 10, max_creates_per_external_id: 1 });
    // The same key still replays the first answer, and files of before are served.
    const replay = await api.post('/api/videos', { prompt: prompts[0] }, { 'idempotency-key': prompts[0] ?? '' });
    expect(replay.body['id']).toBe(ids[0]);
    for (const id of ids) expect((await api.get(`/api/videos/${id}/content`)).status).toBe(200);
    // A stream that was broken off before the move goes on where it was: every later event, in order, none twice.
    const events = await readEvents(
      address,
      key,
      firstEventId,
      (all) => all.filter(({ type }) => type === 'video.completed').length === 10,
    );
    const seen = events.map(({ data: text }) => JSON.parse(text) as { video_id: string; seq: number });
    for (const id of ids) {
      const numbers = seen.filter(({ video_id: video }) => video === id).map(({ seq }) => seq);
      const [video] = await askPostgres(url, `select event_seq from videos where id = '${id}'`);
      expect(numbers).toEqual(Array.from({ length: Number(video?.['event_seq']) }, (_each, index) => index + 1));
    }
    expect(await askPostgres(url, 'select sum(amount)::text as sum from ledger_entries')).toEqual([
      { sum: '0.000000' },
    ]);
  });

  test('a killed server may be moved: what it had in hand is looked for at Kling first', async () => {
    const own = await startSandbox({ port: 0, host: '127.0.0.1', taskMs: 1_000, slots: 2, files: 'tiny' });
    onTestFinished(() => own.close());
    const home = await tempFolder('killed');
    onTestFinished(() => home.remove());
    const mine = {
      ...env,
      DATA_DIR: home.path,
      SANDBOX_URL: own.url,
      KLING_SETTLE_DELAY: '1000',
      KLING_POST_TIMEOUT: '2000',
      LEASE_MS: '3000',
    };
    const killed = startDailies(['serve'], mine);
    const address = await addressOf(killed);
    const ownKey = (await readFile(join(home.path, 'api-key'), 'utf8')).trim();
    const api = createApi(address, ownKey);
    const made: string[] = [];
    for (const prompt of prompts) made.push(String((await api.post('/api/videos', { prompt })).body['id']));
    killed.signal('SIGKILL');
    await killed.ended;
    const { url } = await emptyDatabase();
    const moved = await runDailies(['move'], { ...mine, DATABASE_URL: url });
    expect(moved.code, moved.output).toBe(0);
    const running = startForTest(['serve'], { ...mine, DATABASE_URL: url });
    const next = createApi(await addressOf(running), ownKey);
    for (const id of made) {
      await eventually(
        `${id} is completed`,
        async () => (await next.get(`/api/videos/${id}`)).body['status'] === 'completed',
        90_000,
      );
    }
    const stats = (await (await fetch(`${own.url}/_sandbox/stats`)).json()) as Record<string, unknown>;
    expect(stats).toMatchObject({ creates_accepted: 10, max_creates_per_external_id: 1 });
  });
});
