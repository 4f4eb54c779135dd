import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createDailies, isFinalStatus } from '@dailies/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startChild, type Child } from '../src/child-process.ts';
import { freePort } from '../src/free-port.ts';

let folder: string;
let sandboxPort: number;
let child: Child | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-restart-'));
  sandboxPort = await freePort();
});
afterAll(async () => {
  await child?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A server on the same folder and with the same sandbox, as `npm start` would make it again. */
async function start() {
  child = await startChild({
    args: ['serve'],
    env: {
      DATA_DIR: join(folder, '.dailies'),
      PORT: '0',
      CALLBACKS_PORT: '0',
      SANDBOX_PORT: String(sandboxPort),
      SANDBOX_SPEED: '20',
      KLING_CONCURRENCY: '3',
    },
    logFile: join(folder, 'server.log'),
    ready: /is ready +(http:\S+)/,
    timeoutMs: 60_000,
  });
  const apiKey = (await readFile(join(folder, '.dailies', 'api-key'), 'utf8')).trim();
  return createDailies({ url: child.match[1] ?? '', apiKey });
}

interface Stats {
  readonly creates_accepted: number;
  readonly max_creates_per_external_id: number;
  readonly units_deducted: string;
}

async function stats(): Promise<Stats> {
  return (await (await fetch(`http://127.0.0.1:${sandboxPort}/_sandbox/stats`)).json()) as Stats; // its documented shape
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 150_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited in vain');
    await delay(50);
  }
}

test(
  'ten videos survive kill -9 in whatever state they are: all end, and each is bought once',
  { timeout: 240_000 },
  async () => {
    let client = await start();
    for (let index = 0; index < 10; index++) await client.videos.create({ prompt: `clip ${index}` });
    const list = async () => (await client.videos.list({ limit: 50 }).page()).data;
    await until(async () => {
      const videos = await list();
      return (
        videos.some((video) => video.status === 'completed') && videos.some((video) => video.status === 'generating')
      );
    });
    const before = await stats();
    process.kill(Number(await readFile(join(folder, '.dailies', 'server.pid'), 'utf8')), 'SIGKILL');

    client = await start();
    await until(async () => (await list()).every((video) => isFinalStatus(video.status)));
    const videos = await list();
    expect(videos.map((video) => video.status)).toEqual(Array.from({ length: 10 }, () => 'completed'));
    const after = await stats();
    expect(before.creates_accepted).toBeGreaterThan(3);
    expect(after).toMatchObject({ creates_accepted: 10, max_creates_per_external_id: 1, units_deducted: '15' });
    const budget = await client.budget.get();
    expect(budget).toMatchObject({ held_credits: 0, captured_credits: 15 });
  },
);

test('a second server on the same folder is refused by name', async () => {
  const second = start();
  await expect(second).rejects.toThrow(/is in use by the server with process id \d+/);
});
