import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { SandboxOptions } from '../src/index.ts';
import { startSandbox } from '../src/index.ts';
import { createClient, createLegacy, ended, eventually, legacyPath, openReceiver, openSandbox } from './harness.ts';

async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dailies-sandbox-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A sandbox in a process of its own, so that it can be killed. */
async function spawnSandbox(options: SandboxOptions): Promise<{ url: string; kill: () => Promise<void> }> {
  const script = `import { startSandbox } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    console.log((await startSandbox(${JSON.stringify(options)})).url);`;
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout!, 'data');
  const kill = async (): Promise<void> => {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return { url: String(line).trim(), kill };
}

test('killed with tasks in flight, it comes back with its tasks, counters and files, and its clock gone on', async () => {
  const dataDir = await openFolder();
  const options = { dataDir, files: 'tiny', taskMs: 700, slots: 5 } as const;
  const first = await spawnSandbox(options);
  const before = createClient(first.url);
  const done = await createLegacy(before, { external_task_id: 'done' });
  const { outputs } = await ended(before, done);
  const bytes = await (await fetch(outputs[0].url)).bytes();
  const hook = await openReceiver();
  const running = await createLegacy(before, { external_task_id: 'running', callback_url: hook.url });
  const stuck = await createLegacy(before, { prompt: 'x [[fault:stuck]]' });
  expect((await before.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'y [[fault:1303]]' })).body.code).toBe(
    1303,
  );
  await eventually(
    async () => (await before.get(`${legacyPath}/${running}`)).body.data.task_status,
    (status) => status === 'processing',
  );
  const createdAt = (await before.get(`${legacyPath}/${running}`)).body.data.created_at;
  const statsBefore = (await before.get('/_sandbox/stats')).body;
  await first.kill();
  const diedAt = Date.now();
  await eventually(
    () => Date.now(),
    (now) => now > createdAt + 750,
  );

  const after = await openSandbox(options);
  const again = (await after.get(`${legacyPath}/running`)).body.data;
  expect(again).toMatchObject({ task_id: running, task_status: 'succeed', updated_at: createdAt + 700 });
  expect(again.updated_at).toBeLessThan(Date.now());
  expect(again.updated_at).toBeGreaterThan(diedAt - 700);
  const stats = after.sandbox.stats();
  expect(stats).toMatchObject({
    creates_accepted: 3,
    creates_refused: { 1303: 1 },
    max_creates_per_external_id: 1,
    max_in_flight: statsBefore.max_in_flight,
    in_flight: { 'sandbox/kling-2.6/video': 1 },
    units_deducted: '3',
    callbacks: { lost_while_down: 1 },
  });
  expect(stats.calls['create']).toBe(statsBefore.calls.create);
  expect((await after.get(`${legacyPath}/${stuck}`)).body.data.task_status).toBe('processing');
  const { url } = (await after.get(`${legacyPath}/done`)).body.data.task_result.videos[0];
  expect(await (await fetch(url)).bytes()).toEqual(bytes);
  expect(
    (await after.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'x', external_task_id: 'done' })).body.code,
  ).toBe(1201);
  expect((await after.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'y [[fault:1303]]' })).body.code).toBe(0);
  expect(BigInt((await after.get(legacyPath)).body.data[0].task_id)).toBeGreaterThan(BigInt(stuck));
});

test('fault rules go on where they were', async () => {
  const dataDir = await openFolder();
  const first = await startSandbox({ dataDir, taskMs: 10, files: 'tiny' });
  const before = createClient(first.url);
  await before.post('/_sandbox/faults', { fault: '5000', count: 2 });
  expect((await before.post(legacyPath, { prompt: 'x' })).status).toBe(500);
  await first.close();
  const after = await openSandbox({ dataDir });
  expect((await after.post(legacyPath, { prompt: 'x' })).status).toBe(500);
  expect((await after.post(legacyPath, { prompt: 'x' })).status).toBe(200);
});

test('a last line torn by a kill is dropped, and the journal goes on', async () => {
  const dataDir = await openFolder();
  const first = await startSandbox({ dataDir, taskMs: 10, files: 'tiny' });
  const id = await createLegacy(createClient(first.url));
  await first.close();
  await appendFile(join(dataDir, 'journal.jsonl'), '{"t":"task","plan":{"id":"9');
  const second = await startSandbox({ dataDir, taskMs: 10, files: 'tiny' });
  await ended(createClient(second.url), id);
  await second.close();
  const third = await openSandbox({ dataDir });
  expect(third.sandbox.stats()).toMatchObject({ creates_accepted: 1, tasks: { succeeded: 1 } });
});

test('a damaged line in the middle is named, never skipped', async () => {
  const dataDir = await openFolder();
  const first = await startSandbox({ dataDir });
  await createLegacy(createClient(first.url));
  await first.close();
  const path = join(dataDir, 'journal.jsonl');
  const lines = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, [lines[0], 'nonsense', ...lines.slice(1)].join('\n'));
  await expect(startSandbox({ dataDir })).rejects.toThrow(/journal\.jsonl line 2 is not readable/);
});
