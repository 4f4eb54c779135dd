/** Split roles on PostgreSQL under load, watched by a real Prometheus: what the dashboard asks, and what the autoscaler would be told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDailies, type Dailies } from '@dailies/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serverReady, startChild, type Child } from '../../packages/cli/src/child-process.ts';
import { createPostgresDatabase, missingPostgres, startPostgres } from '../servers/postgres.ts';
import { missingPrometheus, startPrometheus, type PrometheusServer } from '../servers/prometheus.ts';
import { eventually, freePort, tempFolder } from '../servers/spawn.ts';

const missing = missingPrometheus() ?? missingPostgres();
const videos = 300;
const slots = 10;
const tasksPerWorker = 3;
const createsAtOnce = 16;
const timeoutMs = 180_000;
const roleReady = /Dailies \w+ is ready(?: on (http:[^\s,]+))?,.* metrics on http:\/\/([^\s/]+[^\s./])/;

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboardFile = fileURLToPath(new URL('../../deploy/grafana/dailies.json', import.meta.url));
const { panels } = JSON.parse(readFileSync(dashboardFile, 'utf8')) as { panels: Panel[] };
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

describe.skipIf(missing)(`a platform under load${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const release: (() => Promise<unknown>)[] = [];
  let prometheus: PrometheusServer;
  let dailies: Dailies;
  let webhookUrl: string;
  let logs: string;

  beforeAll(async () => {
    const folder = await tempFolder('monitoring');
    release.push(folder.remove);
    logs = folder.path;
    const server = await startPostgres();
    release.push(server.stop);
    const database = await createPostgresDatabase(server.url);
    webhookUrl = await startReceiver(release);
    const start = async (
      args: readonly string[],
      env: Readonly<Record<string, string>>,
      ready: RegExp,
    ): Promise<Child> => {
      const child = await startChild({
        args,
        env,
        logFile: join(folder.path, `${args[0] ?? ''}.log`),
        ready,
        timeoutMs: 60_000,
      });
      release.push(child.stop);
      return child;
    };
    const sandboxFlags = ['--files', 'tiny', '--slots', String(slots), '--task-ms', '1000', '--seed', '1'];
    const sandbox = await start(['sandbox', '--json', '--port', '0', ...sandboxFlags], {}, /"url":"(http:[^"]+)"/);
    const callbacksPort = String(await freePort());
    const env = {
      DATABASE_URL: database.url,
      DATA_DIR: join(folder.path, 'data'),
      STORAGE: 'fs',
      KLING_PROVIDER: 'sandbox',
      SANDBOX_URL: sandbox.match[1] ?? '',
      KLING_CALLBACK_URL: `http://127.0.0.1:${callbacksPort}`,
      KLING_CONCURRENCY: String(slots),
      POOL_SCOPE: 'pack',
      BUDGET_CREDITS: '10000',
      TASKS_PER_WORKER: String(tasksPerWorker),
      PORT: '0',
      CALLBACKS_PORT: callbacksPort,
      METRICS_PORT: '0',
      LOG_LEVEL: 'info',
    };
    // It brings the schema up to date and makes the key.
    const whole = await start(['serve'], env, serverReady);
    await whole.stop();
    const apiKey = (await readFile(join(folder.path, 'data', 'api-key'), 'utf8')).trim();
    const targets: Record<string, string[]> = {};
    let url = '';
    for (const role of ['callbacks', 'worker', 'api']) {
      const { match } = await start([role], env, roleReady);
      targets[`dailies-${role}`] = [match[2] ?? ''];
      url = match[1] ?? url;
    }
    dailies = createDailies({ url, apiKey });
    prometheus = await startPrometheus({ targets });
    release.push(prometheus.stop);
    await eventually('every process is scraped', async () => (await value('sum(up)')) === 3);
  }, timeoutMs);

  afterAll(async () => {
    for (const end of release.toReversed()) await end();
  });

  async function value(expression: string): Promise<number> {
    const [row] = await prometheus.query(expression);
    return row?.value ?? Number.NaN;
  }

  async function createAll(): Promise<void> {
    let made = 0;
    const makeSome = async (): Promise<void> => {
      while (made < videos) {
        made++;
        await dailies.videos.create({ prompt: `clip ${made}`, webhook_url: webhookUrl });
      }
    };
    await Promise.all(Array.from({ length: createsAtOnce }, makeSome));
  }

  test(
    'a backlog of 0, 300, 0 moves the workers that are wanted up and back, and every query of the dashboard has an answer',
    async () => {
      expect(await value('max(dailies_workers_wanted)')).toBe(0);
      expect(await value('max(dailies_queue_depth)')).toBe(0);
      const refused = await dailies.videos.create({ prompt: 'x'.repeat(100_000) }).then(
        () => false,
        () => true,
      );
      expect(refused).toBe(true);
      await createAll();

      await eventually('as many workers as the slots can feed', async () => {
        return (await value('max(dailies_workers_wanted)')) === Math.ceil(slots / tasksPerWorker);
      });
      const depth = await value('max(max_over_time(dailies_queue_depth[5m]))');
      await eventually('a third is done', async () => (await completed()) >= videos / 3, timeoutMs);

      const rows = await Promise.all(
        queries.map(async (query) => ({ ...query, rows: await prometheus.query(query.expr) })),
      );
      const lines = rows.map(
        ({ title, expr, rows: found }) => `${String(found.length).padStart(4)} rows  ${title}: ${expr}`,
      );
      process.stdout.write(`${lines.join('\n')}\n`);
      const empty = rows.filter(({ rows: found }) => !found.some((row) => Number.isFinite(row.value)));
      expect(empty.map(({ title, expr }) => `${title}: ${expr}`)).toEqual([]);

      await eventually('all is done', async () => (await completed()) === videos, timeoutMs);
      await eventually('nobody is wanted', async () => (await value('max(dailies_workers_wanted)')) === 0);
      expect(depth).toBeGreaterThan(videos / 2);
      expect(await value('max(dailies_queue_depth)')).toBe(0);
      expect(await value('max(dailies_oldest_waiting_seconds)')).toBe(0);
    },
    timeoutMs,
  );

  async function completed(): Promise<number> {
    return (await value('sum(dailies_videos_ended_total{state="completed"})')) || 0;
  }

  test('what was counted is what happened', async () => {
    const total = async (expression: string): Promise<number> => value(`sum(${expression})`);
    expect(await total('dailies_creates_total{outcome="accepted"}')).toBe(videos);
    expect(await total('dailies_creates_total{outcome="invalid_request"}')).toBe(1);
    expect(await total('dailies_kling_calls_total{endpoint=~"POST /(text-to-video|v1/videos).*", code="0"}')).toBe(
      videos,
    );
    expect(await total('dailies_tasks_ended_total{callback="asked"}')).toBe(videos);
    expect(await total('dailies_archive_copies_total{outcome="stored"}')).toBe(videos);
    expect(await total('dailies_dispatch_seconds_count')).toBe(videos);
    for (const state of ['queued', 'submitting', 'generating', 'archiving'])
      expect(await total(`dailies_state_seconds_count{state="${state}"}`), state).toBe(videos);
    const callbacks = await total('dailies_callbacks_total{outcome=~"hint|late"}');
    expect(callbacks).toBe(videos);
    expect(await value('max(dailies_slots_in_use)')).toBe(0);
    expect(await value('max(max_over_time(dailies_slots_in_use[5m]))')).toBe(slots);
  });

  test('the lines of a request, its video, its task and its file join by their ids', async () => {
    const apiLines = await readLog(join(logs, 'api.log'));
    const workerLines = await readLog(join(logs, 'worker.log'));
    const request = apiLines.find((line) => line['msg'] === 'request' && line['status'] === 202);
    expect(request).toMatchObject({ requestId: expect.any(String), videoId: expect.stringMatching(/^vid_/) });
    const of = (msg: string) =>
      workerLines.find((line) => line['msg'] === msg && line['videoId'] === request?.['videoId']);
    const task = of('Kling has the task');
    const ended = of('A task ended');
    const ids = { attemptId: expect.stringMatching(/^att_/), taskId: expect.any(String) };
    expect(task).toMatchObject({ ...ids, providerRequestId: expect.any(String), externalTaskId: expect.any(String) });
    expect(ended).toMatchObject({ attemptId: task?.['attemptId'], taskId: task?.['taskId'] });
    expect(of('A paid file was stored')).toMatchObject({ fileId: ended?.['fileId'] });
  });

  test('nothing in a label names a video, an attempt or a file', async () => {
    const rows = await prometheus.query('{job=~"dailies-.*"}');
    expect(rows.length).toBeGreaterThan(300);
    expect(rows.length).toBeLessThan(5_000);
    expect(
      rows.flatMap(({ labels }) => Object.values(labels)).filter((text) => /\b(?:vid|att|fil|dlv|req)_/.test(text)),
    ).toEqual([]);
  });
});

async function readLog(file: string): Promise<Readonly<Record<string, unknown>>[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>); // written by pino
}

/** An address for webhooks on this machine, which workers refuse to call: so refused deliveries and dead letters are seen, too. */
async function startReceiver(release: (() => Promise<unknown>)[]): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  release.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`; // a TCP server that listens has one
}
