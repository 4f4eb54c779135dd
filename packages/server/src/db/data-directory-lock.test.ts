import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockDataDirectory } from './data-directory-lock.ts';

let directory = '';
let file = '';

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dailies-lock-'));
  file = path.join(directory, 'server.lock');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a second server is refused by folder and process id, and may start after the first has stopped', async () => {
  const lock = await lockDataDirectory(directory);
  const refused = lockDataDirectory(directory);
  await expect(refused).rejects.toThrow(directory);
  await expect(refused).rejects.toThrow(`process id ${process.pid}`);
  await lock.release();
  await (await lockDataDirectory(directory)).release();
  await expect(stat(file)).rejects.toThrow('ENOENT');
});

test('the lock of a dead process is taken over', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  await writeFile(file, JSON.stringify({ pid: child.pid, started: null }));
  await lockDataDirectory(directory);
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ pid: process.pid });
});

test('the lock of a living process is never taken over', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    await once(child, 'spawn');
    await writeFile(file, JSON.stringify({ pid: child.pid, started: null }));
    await expect(lockDataDirectory(directory)).rejects.toThrow(`process id ${child.pid}`);
  } finally {
    child.kill('SIGKILL');
  }
});

test.runIf(process.platform === 'linux')('a process id that was used again does not keep the folder', async () => {
  await writeFile(file, JSON.stringify({ pid: process.pid, started: 'another boot:1' }));
  await lockDataDirectory(directory);
  expect(JSON.parse(await readFile(file, 'utf8'))).not.toMatchObject({ started: 'another boot:1' });
});

test('a file that was cut short by a crash does not keep the folder', async () => {
  await writeFile(file, '{"pid":');
  await (await lockDataDirectory(directory)).release();
});

test('of many that find a dead lock at once, exactly one gets the folder', async () => {
  for (let round = 0; round < 20; round++) {
    await writeFile(file, JSON.stringify({ pid: process.pid, started: 'another boot:1' }));
    const contenders = Array.from({ length: 8 }, async (_, index) => {
      for (let turn = 0; turn < index * (round % 4); turn++) await new Promise((resolve) => setImmediate(resolve));
      return lockDataDirectory(directory);
    });
    const outcomes = await Promise.allSettled(contenders);
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
  }
});
