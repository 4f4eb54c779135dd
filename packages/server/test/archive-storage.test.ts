/** What becomes of paid files while the team's own storage fails, on real stores that really fail. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startFaultProxy } from '../../../test/servers/fault-proxy.ts';
import { s3Config } from '../../../test/servers/s3-config.ts';
import { missingS3, startS3, type S3Server } from '../../../test/servers/s3.ts';
import { missingSmallDisk, startSmallDisk } from '../../../test/servers/small-disk.ts';
import { answerWithoutLinks } from '../src/api/video-answer.ts';
import type { Database } from '../src/db/database.ts';
import type { BlobStore } from '../src/storage/blob-store.ts';
import { startFileServer } from '../src/storage/file-server.testing.ts';
import { openBlobStore, type BlobStoreConfig } from '../src/storage/open.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const hour = 3_600_000;

async function openStore(config: BlobStoreConfig): Promise<BlobStore> {
  const store = await openBlobStore(config);
  onTestFinished(() => store.close());
  return store;
}

/** A paid video waits in `archiving` while the store fails, its reason told once, and completes after the mend. */
async function expectWaits(store: BlobStore, reason: RegExp, mend: () => Promise<void> | void): Promise<void> {
  const core = await openKlingCore(database);
  const archiving = openArchiving(core, undefined, store);
  const id = await archiving.succeed();
  for (let round = 0; round < 3; round++) {
    expect(await archiving.archive(id)).toMatchObject({ result: 'retry', reason: expect.stringMatching(reason) });
    expect((await core.video(id)).state).toBe('archiving');
    await core.advance(7 * hour);
  }
  const file = await core.file(id);
  expect(file.last_error).toMatch(reason);
  expect(file.last_error).not.toMatch(/http|secret|vid_/);
  const events = await core.videos.listEvents(id, testWorkspace, 0);
  const told = events.filter((event) => event.type === 'video.archive_delayed');
  expect(told.map((event) => event.data)).toEqual([
    { job_id: id, status: 'archiving', reason: expect.stringMatching(reason) },
  ]);
  expect(answerWithoutLinks(await core.video(id)).warnings).toEqual([
    { code: 'archive_delayed', message: expect.stringContaining(String(file.last_error)) },
  ]);
  await mend();
  expect(await archiving.archive(id)).toEqual({ result: 'done' });
  const video = await core.video(id);
  expect(video.state).toBe('completed');
  expect(answerWithoutLinks(video).warnings).toEqual([]);
  expect(await store.find(video.file?.storageKey ?? '')).toMatchObject({ bytes: video.file?.bytes });
  await core.books();
}

const withoutS3 = missingS3();

describe.skipIf(withoutS3)(`files on their way to S3${withoutS3 ? ` (${withoutS3})` : ''}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3();
  }, 120_000);
  afterAll(() => server.stop());

  test('a bucket that denies writes keeps the video archiving with a readable cause, and it completes after the mend', async () => {
    const bucket = await server.makeBucket();
    const store = await openStore(s3Config(server.endpoint, bucket, server.credentials));
    await server.denyWrites(bucket);
    const reason =
      /^Storing a file failed: bucket dailies-\S+ does not allow it; check its policy \(AccessDenied, HTTP 403\)\.$/;
    await expectWaits(store, reason, () => server.allowWrites(bucket));
  });

  test('a bucket that cannot be reached keeps the video archiving with a readable cause, and it completes after the mend', async () => {
    const proxy = await startFaultProxy({ port: Number(new URL(server.endpoint).port) });
    onTestFinished(() => proxy.stop());
    const bucket = await server.makeBucket();
    const store = await openStore(s3Config(`http://127.0.0.1:${proxy.port}`, bucket, server.credentials));
    proxy.cut();
    proxy.refuse();
    await expectWaits(store, /^Storing a file failed: 127\.0\.0\.1:\d+ broke the connection \(/, () => proxy.mend());
  });
});

test('a bucket in another region keeps the video archiving with a readable cause, and it completes after the mend', async () => {
  const server = await startFileServer();
  onTestFinished(() => server.close());
  server.handler = (_request, response) => void response.writeHead(200).end();
  const keys = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const store = await openStore(s3Config(server.origin, 'films', keys));
  server.handler = (request, response) => {
    const error = '<Error><Code>PermanentRedirect</Code><Endpoint>films.s3.eu-west-1.example</Endpoint></Error>';
    request.resume().once('end', () => response.writeHead(301, { 'content-type': 'application/xml' }).end(error));
  };
  const directory = await openKlingCore(database);
  // The mend is another setting, so another store: what waits is in the database and not in the process.
  const archiving = openArchiving(directory, undefined, store);
  const id = await archiving.succeed();
  const reason = expect.stringContaining('bucket films is not in the region us-east-1');
  expect(await archiving.archive(id)).toMatchObject({ result: 'retry', reason });
  expect((await directory.video(id)).state).toBe('archiving');
  await directory.advance(hour);
  expect(await openArchiving(directory).archive(id)).toEqual({ result: 'done' });
  expect((await directory.video(id)).state).toBe('completed');
});

const withoutDisk = await missingSmallDisk();

test.skipIf(withoutDisk)(
  `a full disk keeps the video archiving with a readable cause, and it completes after the mend${withoutDisk ? ` (${withoutDisk})` : ''}`,
  async () => {
    const disk = await startSmallDisk({ bytes: 4 * 1024 * 1024 });
    onTestFinished(() => disk.stop());
    const store = await openStore({ driver: 'fs', directory: join(disk.path, 'files') });
    const filler = join(disk.path, 'filler');
    await writeFile(filler, Buffer.alloc(8 * 1024 * 1024)).catch(() => undefined);
    await expectWaits(store, /failed: the disk or its quota is full \(ENOSPC\)\.$/, () => rm(filler));
  },
);
