import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findConnection } from '../src/connection.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dailies-cli-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function serverFolder(folder: string, url: string | null, apiKey: string): Promise<void> {
  await mkdir(join(root, folder), { recursive: true });
  if (url !== null) await writeFile(join(root, folder, 'server.json'), JSON.stringify({ url }));
  await writeFile(join(root, folder, 'api-key'), `${apiKey}\n`);
}

async function userConfig(config: object): Promise<void> {
  await mkdir(join(root, 'home/.config/dailies'), { recursive: true });
  await writeFile(join(root, 'home/.config/dailies/config.json'), JSON.stringify(config));
}

function io(env: Record<string, string> = {}, cwd = 'project/deep/er'): Parameters<typeof findConnection>[1] {
  return { env, cwd: join(root, cwd), home: join(root, 'home') };
}

test('without anything it is the default address and no key', async () => {
  expect(await findConnection({}, io())).toEqual({ url: 'http://127.0.0.1:8000', apiKey: undefined });
});

test('the nearest .dailies folder upwards wins over the user configuration', async () => {
  await serverFolder('.dailies', 'http://127.0.0.1:1', 'far');
  await serverFolder('project/.dailies', 'http://127.0.0.1:2', 'near');
  await userConfig({ url: 'https://team.example', api_key: 'mine' });
  expect(await findConnection({}, io())).toEqual({ url: 'http://127.0.0.1:2', apiKey: 'near' });
});

test('DATA_DIR names the folder of a server that runs with it', async () => {
  await serverFolder('project/.dailies', 'http://127.0.0.1:2', 'near');
  await serverFolder('project/deep/er/data', 'http://127.0.0.1:3', 'said');
  expect(await findConnection({}, io({ DATA_DIR: 'data' }))).toEqual({ url: 'http://127.0.0.1:3', apiKey: 'said' });
});

test('environment wins over folders, flags over both', async () => {
  await serverFolder('project/.dailies', 'http://127.0.0.1:2', 'near');
  const env = { DAILIES_URL: 'https://a.example', DAILIES_API_KEY: 'env' };
  expect(await findConnection({}, io(env))).toEqual({ url: 'https://a.example', apiKey: 'env' });
  const flags = { url: 'https://b.example', apiKey: 'flag' };
  expect(await findConnection(flags, io(env))).toEqual({ url: 'https://b.example', apiKey: 'flag' });
});

test('a key that was found beside one address is not sent to another', async () => {
  await serverFolder('project/.dailies', 'http://127.0.0.1:2', 'near');
  await userConfig({ url: 'https://team.example', api_key: 'mine' });
  expect(await findConnection({ url: 'https://evil.example' }, io())).toMatchObject({ apiKey: undefined });
  expect(await findConnection({ url: 'http://127.0.0.1:3' }, io())).toMatchObject({ apiKey: undefined });
  expect(await findConnection({ url: 'https://team.example/' }, io())).toMatchObject({ apiKey: 'mine' });
  expect(await findConnection({ url: 'http://localhost:2' }, io())).toMatchObject({ apiKey: 'near' });
});

test('a stopped server has left its key: the default address is tried with it', async () => {
  await serverFolder('project/.dailies', null, 'near');
  expect(await findConnection({}, io())).toEqual({ url: 'http://127.0.0.1:8000', apiKey: 'near' });
});

test('the user configuration is used where there is no local server', async () => {
  await userConfig({ url: 'https://team.example', api_key: 'mine' });
  expect(await findConnection({}, io())).toEqual({ url: 'https://team.example', apiKey: 'mine' });
  await writeFile(join(root, 'home/.config/dailies/config.json'), '{half');
  expect(await findConnection({}, io())).toEqual({ url: 'http://127.0.0.1:8000', apiKey: undefined });
});
