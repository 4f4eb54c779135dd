import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ChildError, startChild } from '../src/child-process.ts';

const bin = fileURLToPath(new URL('../bin/dailies.js', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the program starts from its bin file and hands on arguments and exit code', async () => {
  const run = promisify(execFile);
  expect((await run(process.execPath, [bin, '--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  await expect(run(process.execPath, [bin, 'frobnicate'])).rejects.toMatchObject({ code: 2 });
});

test('a child inherits no credentials, says when it is ready, logs to its file and stops when told', async () => {
  process.env['KLING_API_KEY'] = 'must-not-be-seen';
  const logFile = join(folder, 'sandbox.log');
  const args = ['sandbox', '--port', '0', '--json'];
  const child = await startChild({ args, env: {}, logFile, ready: /"url":"([^"]+)"/, timeoutMs: 30_000 });
  delete process.env['KLING_API_KEY'];
  const url = child.match[1] ?? '';
  expect((await fetch(`${url}/_sandbox/stats`)).status).toBe(200);
  await child.stop();
  await expect(fetch(`${url}/_sandbox/stats`)).rejects.toThrow();
  expect(await readFile(logFile, 'utf8')).toContain(url);
});

test('a child that ends too early is reported with what it said and where the log is', async () => {
  const logFile = join(folder, 'api.log');
  const starting = startChild({ args: ['api'], env: {}, logFile, ready: /ready/, timeoutMs: 30_000 });
  const error = await starting.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ChildError);
  expect(error).toMatchObject({ exitCode: 78, message: expect.stringMatching(/^ {2}DATABASE_URL is needed/m) });
  expect(String(error)).toContain(logFile);
});
