import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSandbox } from '@dailies/sandbox';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { startGcs, type GcsServer } from '../servers/gcs.ts';
import { createPostgresDatabase, missingPostgres, startPostgres, type PostgresServer } from '../servers/postgres.ts';
import { missingS3, startS3, type S3Server } from '../servers/s3.ts';
import { eventually, findProgram, tempFolder, type TempFolder } from '../servers/spawn.ts';
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

const missing = [missingPostgres(), missingS3()].filter((each) => each !== null).join('; ');
const hasPosters = findProgram('ffmpeg') !== null;
const videos = 6;
/** What they are in a store: files, and posters. */
const stored = hasPosters ? 2 * videos : videos;

interface Film {
  readonly id: string;
  readonly sha256: string;
}

interface Report {
  readonly files: { readonly copied: number; readonly found: number; readonly bytes: number };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Every stored file under a folder, by its path in there; not what the store notes of them for itself. */
async function fingerprints(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(
      files
        .map((path) => path.slice(folder.length))
        .filter((name) => !name.startsWith('/.'))
        .map(async (name) => [name, sha256(await readFile(join(folder, name)))]),
    ),
  );
}

describe.skipIf(missing !== '')(`dailies move --files${missing === '' ? '' : ` (${missing})`}`, () => {
  let server: PostgresServer;
  let s3: S3Server;
  let gcs: GcsServer;
  let folder: TempFolder;
  let sandbox: Awaited<ReturnType<typeof startSandbox>>;
  let env: Env;
  let key = '';
  let films: readonly Film[] = [];

  /** An embedded server that has made some videos, with posters where ffmpeg is installed; stopped. */
  beforeAll(async () => {
    server = await startPostgres();
    s3 = await startS3();
    gcs = await startGcs();
    folder = await tempFolder('move-files');
    sandbox = await startSandbox({ port: 0, host: '127.0.0.1', speed: 50, slots: 3, files: 'tiny' });
    env = {
      KLING_PROVIDER: 'sandbox',
      SANDBOX_URL: sandbox.url,
      SANDBOX_SPEED: '50',
      KLING_CONCURRENCY: '3',
      PORT: '0',
      CALLBACKS_PORT: '0',
      METRICS_PORT: '0',
    };
    const data = join(folder.path, 'data');
    const running = startDailies(['serve'], { ...env, DATA_DIR: data });
    const url = await addressOf(running);
    key = (await readFile(join(data, 'api-key'), 'utf8')).trim();
    const api = createApi(url, key);
    const ids: string[] = [];
    for (let index = 0; index < videos; index++) ids.push(await make(api, `film ${index}`));
    films = await Promise.all(ids.map((id) => completed(api, id)));
    if (hasPosters) {
      await eventually('every video has a poster', async () => {
        const all = await Promise.all(ids.map((id) => api.get(`/api/videos/${id}`)));
        return all.every(({ body }) => body['poster_url'] !== null);
      });
    }
    expect((await running.stop()).code).toBe(0);
  });
  afterAll(async () => {
    await sandbox.close();
    await gcs.stop();
    await s3.stop();
    await server.stop();
    await folder.remove();
  });

  async function make(api: Api, prompt: string): Promise<string> {
    const { status, body } = await api.post('/api/videos', { prompt });
    expect(status).toBe(202);
    return String(body['id']);
  }

  async function completed(api: Api, id: string): Promise<Film> {
    return eventually(`${id} is completed`, async () => {
      const { body } = await api.get(`/api/videos/${id}`);
      const file = body['file'] as { sha256: string } | null; // documented in openapi.json
      return body['status'] === 'completed' && file !== null && { id, sha256: file.sha256 };
    });
  }

  async function emptyDatabase(): Promise<string> {
    const database = await createPostgresDatabase(server.url);
    onTestFinished(() => database.drop());
    return database.url;
  }

  async function s3Bucket(endpoint = s3.endpoint): Promise<Env> {
    const { accessKeyId, secretAccessKey } = s3.credentials;
    return {
      S3_BUCKET: await s3.makeBucket(),
      S3_ENDPOINT: endpoint,
      S3_PREFIX: 'moved/',
      AWS_REGION: s3.region,
      S3_ACCESS_KEY_ID: accessKeyId,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
  }

  function gcsBucket(): Env {
    return {
      GCS_BUCKET: gcs.makeBucket(),
      GCS_ENDPOINT: gcs.endpoint,
      GOOGLE_APPLICATION_CREDENTIALS: gcs.credentialsFile,
    };
  }

  async function move(more: Env): Promise<Report> {
    const moved = await runDailies(['move', '--files', '--json'], { ...env, ...more });
    expect(moved.code, moved.output).toBe(0);
    return JSON.parse(moved.output.slice(moved.output.indexOf('{'))) as Report;
  }

  /** What a viewer gets: by key, and by the link of the answer, which needs none. */
  async function plays(url: string, film: Film): Promise<void> {
    const authorization = `Bearer ${key}`;
    const content = await fetch(`${url}/api/videos/${film.id}/content`, { headers: { authorization } });
    expect(sha256(await content.bytes())).toBe(film.sha256);
    const { body } = await createApi(url, key).get(`/api/videos/${film.id}`);
    expect(body['file']).toMatchObject({ sha256: film.sha256 });
    const link = await fetch(String(body['video_url']), { headers: { range: 'bytes=0-' } });
    expect(link.status).toBe(206);
    expect(sha256(await link.bytes())).toBe(film.sha256);
    const posterUrl = body['poster_url'];
    if (typeof posterUrl !== 'string') return;
    const poster = await fetch(posterUrl);
    expect(poster).toMatchObject({ status: 200 });
    expect(poster.headers.get('content-type')).toBe('image/jpeg');
  }

  test.each([
    ['S3, links to the api', () => s3Bucket(), {}],
    ['S3, links to the bucket', () => s3Bucket(), { CDN_OWN_LINKS: 'storage' }],
    ['Google Cloud Storage', async () => gcsBucket(), {}],
  ])('old and new videos play from the bucket, and the folder stays as it was: %s', async (_name, open, links) => {
    const data = await copyOfData(folder.path);
    const before = await fingerprints(join(data, 'files'));
    const target = { ...env, ...links, ...(await open()), DATABASE_URL: await emptyDatabase() };
    const { files } = await move({ ...target, DATA_DIR: data });
    expect(files).toMatchObject({ copied: stored, found: 0 });
    expect(await fingerprints(join(data, 'files'))).toEqual(before);
    // On another machine: nothing of the old folder is needed.
    await rm(data, { recursive: true });
    const elsewhere = await tempFolder('elsewhere');
    onTestFinished(() => elsewhere.remove());
    const roles = { ...target, DATA_DIR: elsewhere.path };
    const worker = startForTest(['worker'], roles);
    const api = startForTest(['api'], roles);
    await worker.says(/is ready/);
    const url = await addressOf(api);
    for (const film of films) await plays(url, film);
    const fresh = createApi(url, key);
    await plays(url, await completed(fresh, await make(fresh, 'a film of after the move')));
  });

  test('credentials that may read, write and delete objects are enough, for the move and afterwards', async () => {
    const data = await copyOfData(folder.path);
    const bucket = await s3Bucket();
    await s3.letIn(String(bucket['S3_BUCKET']));
    const { accessKeyId, secretAccessKey } = s3.stranger;
    const target = {
      ...bucket,
      S3_ACCESS_KEY_ID: accessKeyId,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
      DATA_DIR: data,
      DATABASE_URL: await emptyDatabase(),
    };
    expect((await move(target)).files).toMatchObject({ copied: stored, found: 0 });
    const url = await addressOf(startForTest(['serve'], { ...env, ...target }));
    for (const film of films) await plays(url, film);
    const api = createApi(url, key);
    await plays(url, await completed(api, await make(api, 'a film of modest credentials')));
  });

  test('a copy that is killed half-way is run again: nothing is sent twice, and all arrives', async () => {
    const data = await copyOfData(folder.path);
    const proxy = await startFaultProxy({ port: Number(new URL(s3.endpoint).port) });
    onTestFinished(() => proxy.stop());
    const bucket = await s3Bucket(`http://127.0.0.1:${proxy.port}`);
    const target = { ...bucket, DATA_DIR: data, DATABASE_URL: await emptyDatabase() };
    proxy.delay(40);
    const killed = startForTest(['move', '--files'], { ...env, ...target });
    await eventually('two files have arrived', async () => (await s3.keys(String(bucket['S3_BUCKET']))).length >= 2);
    killed.signal('SIGKILL');
    await killed.ended;
    proxy.delay(0);
    const arrived = (await s3.keys(String(bucket['S3_BUCKET']))).length;
    expect(arrived).toBeLessThan(stored);
    const { files } = await move(target);
    expect(files.found).toBeGreaterThanOrEqual(arrived);
    expect(files.copied).toBe(stored - files.found);
    const url = await addressOf(startForTest(['serve'], { ...env, ...target, S3_ENDPOINT: s3.endpoint }));
    for (const film of films) await plays(url, film);
  });

  test('a file that is not the one of the database is refused by name and not left in the bucket; so is a lost one', async () => {
    const data = await copyOfData(folder.path);
    const bucket = await s3Bucket();
    const target = { ...bucket, DATA_DIR: data, DATABASE_URL: await emptyDatabase() };
    const names = Object.keys(await fingerprints(join(data, 'files')));
    const name = names.find((each) => each.includes(films[3]?.id ?? 'none') && each.endsWith('.mp4')) ?? '';
    const path = join(data, 'files', name);
    const good = await readFile(path);
    await writeFile(path, good.with(100, (good[100] ?? 0) ^ 1));
    const changed = await runDailies(['move', '--files'], { ...env, ...target });
    expect(changed).toMatchObject({
      code: 69,
      output: expect.stringContaining(`${name.slice(1)} in the folder is not`),
    });
    expect(await s3.keys(String(bucket['S3_BUCKET']))).not.toContain(`moved${name}`);
    await rm(path);
    const lost = await runDailies(['move', '--files'], { ...env, ...target });
    expect(lost).toMatchObject({ code: 69, output: expect.stringContaining('is not in the folder') });
    // Nothing was moved: the embedded server still runs on the folder.
    await writeFile(path, good);
    const embedded = startForTest(['serve'], { ...env, DATA_DIR: data });
    await addressOf(embedded);
    await embedded.stop();
    expect((await move(target)).files.copied).toBeGreaterThan(0);
  });

  test('a bucket that denies leaves both sides as they were, and the cause is named', async () => {
    const data = await copyOfData(folder.path);
    const bucket = await s3Bucket();
    await s3.denyWrites(String(bucket['S3_BUCKET']));
    const target = { ...bucket, DATA_DIR: data, DATABASE_URL: await emptyDatabase() };
    const denied = await runDailies(['move', '--files'], { ...env, ...target });
    expect(denied).toMatchObject({ code: 69, output: expect.stringContaining('AccessDenied') });
    expect(denied.output).not.toContain(s3.credentials.secretAccessKey);
    await s3.allowWrites(String(bucket['S3_BUCKET']));
    expect((await move(target)).files).toMatchObject({ copied: stored, found: 0 });
  });
});
