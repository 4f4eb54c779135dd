import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { nextLookInMs } from '../src/videos/look.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore, type KlingCoreSettings } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const day = 24 * 3_600_000;

async function open(settings: KlingCoreSettings = {}, interrupt?: () => Promise<void>) {
  const core = await openKlingCore(database, settings);
  return { ...core, ...openArchiving(core, interrupt) };
}

type Core = Awaited<ReturnType<typeof open>>;

async function expectStored(core: Core, id: string): Promise<void> {
  const { file } = await core.video(id);
  expect(file).toMatchObject({ state: 'stored', storageKey: `${testWorkspace}/${id}/1.mp4` });
  const stored = await buffer(await core.blobs.get(file!.storageKey, undefined, new AbortController().signal));
  expect(stored.length).toBe(file!.bytes);
  expect(createHash('sha256').update(stored).digest('hex')).toBe(file!.sha256);
  expect(stored.indexOf('moov'), 'plays while it loads').toBeLessThan(stored.indexOf('mdat'));
  const row = await core.file(id);
  expect(row, 'no provider address stays').toMatchObject({ source_url: null, last_error: null, due_at: null });
}

const waitOf = async () => {
  const row = await database.kysely
    .selectFrom('files')
    .select(sql<number>`(extract(epoch from due_at - dailies_now()) * 1000)::float8`.as('ms'))
    .executeTakeFirstOrThrow();
  return row.ms;
};

test.each([{ rangeRequests: true }, { rangeRequests: false }])(
  'a file is stored, verified, index first: %o',
  async (sandbox) => {
    const core = await open({ sandbox });
    const id = await core.succeed();
    expect(await core.archive(id)).toEqual({ result: 'done' });
    const video = await core.video(id);
    expect(video.state).toBe('completed');
    expect(video.file!.seconds).toBeCloseTo(5.041, 1);
    await expectStored(core, id);
    await core.books();
    expect(await core.archive(id), 'again').toEqual({ result: 'done' });
    const types = (await core.videos.listEvents(id, testWorkspace, 0)).map((event) => event.type);
    expect(types.filter((type) => type === 'video.completed')).toHaveLength(1);
  },
);

test('an expired address is replaced by a fresh one at once', async () => {
  const core = await open();
  await core.fault({ fault: 'expired_url', count: 1 });
  const id = await core.succeed();
  expect(await core.archive(id)).toMatchObject({ result: 'retry', afterMs: 0 });
  expect((await core.video(id)).state).toBe('archiving');
  expect(await core.archive(id)).toEqual({ result: 'done' });
  await expectStored(core, id);
});

test('fresh addresses that do not work either are asked for with growing waits', async () => {
  const core = await open();
  await core.fault({ fault: 'expired_url', count: 1, times: 100 });
  const id = await core.succeed();
  const waits: number[] = [];
  for (let round = 0; round < 4; round++) {
    // An address of the sandbox changes with the second; a changed one here stands for that.
    await database.kysely
      .updateTable('files')
      .set({ source_url: sql`replace(source_url, 'x-kcdn', ${`y${round}-kcdn`})` })
      .execute();
    await core.archive(id);
    waits.push(Math.round((await waitOf()) / 1_000));
    await core.advance(day / 4);
  }
  expect(waits[0]).toBeLessThan(1);
  expect(waits[1]).toBeGreaterThan(30);
  expect(waits[3]).toBeGreaterThan(waits[1]!);
});

test.each(['truncated_file', 'wrong_length'])('%s is never stored: it is tried again after a wait', async (fault) => {
  const core = await open();
  await core.fault({ fault, count: 1, times: 2 });
  const id = await core.succeed();
  const waits: number[] = [];
  for (let round = 0; round < 20 && (await core.video(id)).state === 'archiving'; round++) {
    const result = await core.archive(id);
    if (result.result === 'done') break;
    expect(await core.blobs.find(`${testWorkspace}/${id}/1.mp4`)).toBeUndefined();
    expect((await core.file(id)).last_error).toMatch(/^Download from /);
    waits.push(await waitOf());
    expect(await core.archive(id), 'not before its time').toEqual({ result: 'done' });
    await core.advance(7 * 3_600_000);
  }
  expect(waits[0]).toBeGreaterThan(25_000);
  await expectStored(core, id);
  await core.books();
});

test('a store that refuses keeps the video archiving with a readable reason, and it completes when it is mended', async () => {
  const core = await open();
  const id = await core.succeed();
  const inTheWay = join(core.filesDirectory, testWorkspace);
  await writeFile(inTheWay, '');
  for (let round = 0; round < 5; round++) {
    expect(await core.archive(id)).toMatchObject({ result: 'retry' });
    expect((await core.video(id)).state).toBe('archiving');
    await core.advance(7 * 3_600_000);
  }
  expect((await core.file(id)).last_error).toMatch(/failed: .*\.$/);
  expect((await core.file(id)).last_error).not.toContain('http');
  await rm(inTheWay);
  expect(await core.archive(id)).toEqual({ result: 'done' });
  await expectStored(core, id);
});

test('a copy is given up only when Kling keeps the file no longer; the charge stands', async () => {
  const core = await open({ sandbox: { urlLifetimeMs: 3_600_000 } });
  const id = await core.succeed();
  await writeFile(join(core.filesDirectory, testWorkspace), '');
  await core.advance(29 * day);
  expect(await core.archive(id), 'the address has ended, the file has not').toMatchObject({ result: 'retry' });
  expect((await core.video(id)).state).toBe('archiving');
  await core.advance(2 * day);
  expect(await core.archive(id)).toMatchObject({ result: 'fail' });
  const video = await core.video(id);
  expect(video).toMatchObject({ state: 'failed', chargedCredits: 1_500_000n, error: { code: 'archive_expired' } });
  expect(video.file?.state).toBe('lost');
  await core.books();
  expect(await core.archive(id)).toEqual({ result: 'done' });
});

test('a copy whose lease was taken over is dropped: one file is stored, once', async () => {
  let second: Core | undefined;
  let id = '';
  const core = await open({}, async () => {
    if (!second) return;
    const other = second;
    second = undefined;
    await database.kysely.updateTable('files').set({ lease_until: null }).execute();
    expect(await other.archive(id)).toEqual({ result: 'done' });
  });
  id = await core.succeed();
  second = core;
  await core.archive(id);
  expect((await core.video(id)).state).toBe('completed');
  await expectStored(core, id);
  const types = (await core.videos.listEvents(id, testWorkspace, 0)).map((event) => event.type);
  expect(types.filter((type) => type === 'video.completed')).toHaveLength(1);
  expect(types.filter((type) => type === 'video.file_stored')).toEqual([]);
  const keys: string[] = [];
  for await (const key of core.blobs.list('')) keys.push(key);
  expect(keys).toHaveLength(1);
});

test('a worker that is stopped during a copy leaves the file to the next, at once', async () => {
  const stopping = new AbortController();
  const core = await open({}, async () => stopping.abort());
  const id = await core.succeed();
  expect(await core.archive(id, stopping.signal)).toMatchObject({ result: 'retry', afterMs: 0 });
  expect((await core.video(id)).state).toBe('archiving');
  expect(await core.archive(id)).toEqual({ result: 'done' });
  await expectStored(core, id);
});

test('a canceled video gains its paid file and stays canceled', async () => {
  const core = await open({ sandbox: { taskMs: 30 } });
  const id = await core.bring();
  await core.videos.cancel(id, testWorkspace);
  await core.ended();
  await core.advance(600_000);
  await core.look();
  await core.archive(id);
  expect((await core.video(id)).state).toBe('canceled');
  await expectStored(core, id);
  const types = (await core.videos.listEvents(id, testWorkspace, 0)).map((event) => event.type);
  expect(types.at(-1)).toBe('video.file_stored');
  expect(await nextLookInMs(core.context)).toBeNull();
  await core.books();
});
