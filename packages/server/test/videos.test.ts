import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { claimAttempt } from '../src/videos/attempt.ts';
import { recordCrash, recordDeadLetter } from '../src/videos/dead-letters.ts';
import { expireQueued } from '../src/videos/end-video.ts';
import { submit } from '../src/videos/submit.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const createOptions = { workspaceId: testWorkspace, idempotencyKey: null, render: (video: { id: string }) => video.id };
const nothing = { states: null, model: null, metadata: {}, limit: 100, cursor: null } as const;

async function openCompleted() {
  const core = await openKlingCore(database);
  const archiving = openArchiving(core);
  const id = await archiving.succeed({ metadata: { order: '7' }, priority: 3, duration: 10 });
  await archiving.archive(id);
  return { core, id, ...archiving };
}

describe('delete', () => {
  test('leaves a tombstone: the file is gone, the money and the record stay, and it can be said twice', async () => {
    const { core, id } = await openCompleted();
    const key = (await core.video(id)).file!.storageKey;
    await core.videos.delete(id, testWorkspace);
    expect(await core.blobs.find(key)).toBeUndefined();
    expect(await core.video(id)).toMatchObject({ state: 'completed', file: { state: 'deleted' } });
    expect((await core.receipt(id)).captured).toBe(3_000_000n);
    expect((await core.videos.list(nothing, testWorkspace)).videos).toEqual([]);
    await core.videos.delete(id, testWorkspace);
    const types = (await core.videos.listEvents(id, testWorkspace, 0)).map((event) => event.type);
    expect(types.filter((type) => type === 'video.deleted')).toHaveLength(1);
    await core.books();
  });

  test('is refused while anything is still open: a queue place, a task, a paid file', async () => {
    const core = await openKlingCore(database);
    const archiving = openArchiving(core);
    const id = await core.create();
    const refused = () =>
      expect(core.videos.delete(id, testWorkspace)).rejects.toMatchObject({ code: 'state_conflict' });
    await refused();
    await core.dispatch();
    await refused();
    await core.submit();
    await refused();
    await core.videos.cancel(id, testWorkspace);
    await refused();
    await core.ended();
    await core.advance(600_000);
    await core.look();
    await refused();
    await archiving.archive(id);
    await core.videos.delete(id, testWorkspace);
    await core.books();
  });

  test('a video of another workspace does not exist', async () => {
    const { core, id } = await openCompleted();
    const { videos } = core;
    const missing = { code: 'not_found' };
    await expect(videos.delete(id, 'ws_other')).rejects.toMatchObject(missing);
    await expect(videos.cancel(id, 'ws_other')).rejects.toMatchObject(missing);
    await expect(videos.receipt(id, 'ws_other')).rejects.toMatchObject(missing);
    await expect(videos.retry(id, { ...createOptions, workspaceId: 'ws_other' })).rejects.toMatchObject(missing);
    expect((await core.video(id)).file?.state).toBe('stored');
  });
});

describe('retry', () => {
  test('makes a new video of the same request, priced and held again', async () => {
    const { core, id } = await openCompleted();
    const { videoId } = await core.videos.retry(id, createOptions);
    const [first, second] = [await core.video(id), await core.video(videoId)];
    expect(second).toMatchObject({
      state: 'queued',
      retryOf: id,
      request: first.request,
      metadata: { order: '7' },
      priority: 3,
    });
    expect(second.warnings).toEqual(first.warnings);
    expect((await core.budgets.get(testWorkspace)).held).toBe(3_000_000n);
    await core.books();
  });

  test('is refused before the video has ended, and over the limit', async () => {
    const core = await openKlingCore(database, { limit: '1.5' });
    const id = await core.create();
    await expect(core.videos.retry(id, createOptions)).rejects.toMatchObject({ code: 'state_conflict' });
    await core.videos.cancel(id, testWorkspace);
    const { videoId } = await core.videos.retry(id, createOptions);
    await expect(core.videos.retry(id, createOptions)).rejects.toMatchObject({ code: 'over_budget' });
    expect((await core.video(videoId)).retryOf).toBe(id);
    await core.books();
  });

  test('keeps every kind of request as it was', async () => {
    const core = await openKlingCore(database);
    const bodies = [
      { prompt: 'a fox', sound: true, mode: 'pro' },
      { prompt: 'a fox', aspect_ratio: '9:16', duration: 10, negative_prompt: 'blur' },
      {
        model: 'kling-3.0',
        multi_shot: 'customize',
        shots: [
          { prompt: 'a', duration: 2 },
          { prompt: 'b', duration: 3 },
        ],
      },
      { model: 'kling-3.0', prompt: 'a fox', duration: 15, mode: '4k' },
    ];
    for (const body of bodies) {
      const created = await core.videos.create(body, createOptions);
      await core.videos.cancel(created.videoId, testWorkspace);
      const again = await core.videos.retry(created.videoId, createOptions);
      expect((await core.video(again.videoId)).request).toEqual((await core.video(created.videoId)).request);
    }
  });
});

describe('list', () => {
  test('pages never skip or repeat a video, and filters narrow them', async () => {
    const core = await openKlingCore(database);
    const ids: string[] = [];
    for (let index = 0; index < 7; index++) {
      const model = index === 3 ? 'kling-3.0' : 'kling-2.6';
      ids.push(await core.create({ metadata: { shelf: String(index % 2), n: String(index) }, model }));
    }
    await core.videos.cancel(ids[2] ?? '', testWorkspace);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof core.videos.list>> = await core.videos.list(
        { ...nothing, limit: 3, cursor },
        testWorkspace,
      );
      seen.push(...page.videos.map((video) => video.id));
      cursor = page.nextCursor;
      if (seen.length === 3) await core.create();
    } while (cursor !== null);
    expect(seen).toEqual(ids.toReversed());
    const list = async (filter: object) =>
      (await core.videos.list({ ...nothing, ...filter }, testWorkspace)).videos.length;
    expect(await list({ states: ['canceled'] })).toBe(1);
    expect(await list({ model: 'kling-v3' })).toBe(1);
    expect(await list({ metadata: { shelf: '1' } })).toBe(3);
    expect(await list({ metadata: { shelf: '1', n: '2' } })).toBe(0);
    await expect(list({ cursor: 'nonsense' })).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('start_before', () => {
  const soon = () => new Date(Date.now() + 3_600_000).toISOString();

  test('a video that waited too long fails without cost', async () => {
    const core = await openKlingCore(database);
    const [late, patient] = [await core.create({ start_before: soon() }), await core.create()];
    expect(await expireQueued(core.context)).toBe(0);
    await core.advance(3_700_000);
    expect(await expireQueued(core.context)).toBe(1);
    expect(await core.video(late)).toMatchObject({
      state: 'failed',
      chargedCredits: 0n,
      error: { code: 'start_before_passed' },
    });
    expect((await core.video(patient)).state).toBe('queued');
    await core.books();
    expect(await expireQueued(core.context)).toBe(0);
  });

  test('it is not started after its time, even before the sweeper has come by', async () => {
    const core = await openKlingCore(database, { slots: 1 });
    const late = await core.create({ start_before: soon(), priority: 9 });
    const patient = await core.create();
    await core.advance(3_700_000);
    expect(await core.dispatch()).toBe(1);
    expect((await core.video(late)).state).toBe('queued');
    expect((await core.video(patient)).state).toBe('submitting');
    await expireQueued(core.context);
    await core.books();
  });

  test('one that started in time is left alone', async () => {
    const core = await openKlingCore(database);
    const id = await core.start({ start_before: soon() });
    await core.advance(3_700_000);
    await expireQueued(core.context);
    expect((await core.video(id)).state).toBe('submitting');
  });
});

describe('crashes and dead letters', () => {
  const deadLetter = () => database.kysely.selectFrom('dead_letters').selectAll().executeTakeFirst();

  test('a crash frees the lease of the one that crashed, and the row is due again after a wait', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    const attempt = await core.attempt();
    const broken = { ...core.kling, createTask: () => Promise.reject(new Error('a bug')) };
    const { id: attemptId } = attempt;
    const crash = submit(core.context, { ...core.deps, kling: broken }, attemptId, new AbortController().signal);
    await expect(crash).rejects.toThrow('a bug');
    await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('a bug'));
    expect((await core.attempt()).lease_until).toBeNull();
    expect(await core.submit(), 'not yet').toEqual({ result: 'done' });
    await core.advance(2_100);
    expect(await core.submit(), 'what was sent may exist: looked up').toMatchObject({ result: 'retry' });
    expect((await core.video(id)).state).toBe('submitting');
    await core.books();
  });

  test('a crash never takes the lease of another worker', async () => {
    const core = await openKlingCore(database);
    await core.start();
    const { id: attemptId } = await core.attempt();
    const other = await claimAttempt(database.kysely, attemptId, 60_000);
    await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('the earlier one'));
    const after = await core.attempt();
    expect(after).toMatchObject({ lease_token: other!.lease_token, lease_until: other!.lease_until });
    for (let crash = 0; crash < 6; crash++) {
      await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('again'));
    }
    expect((await core.attempt()).state).toBe('intended');
    await core.books();
  });

  test('a submit that crashed five times unsent ends as a dead letter, failed and free', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    for (let crash = 0; crash < 5; crash++) {
      await core.advance(600_000);
      await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('a bug'));
    }
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      chargedCredits: 0n,
      error: { code: 'submit_dead_letter' },
    });
    expect(await deadLetter()).toMatchObject({ crashes: 5 });
    expect((await deadLetter())?.dead_at).not.toBeNull();
    await core.books();
  });

  test('one whose create may exist is never buried: it is looked up', async () => {
    const core = await openKlingCore(database);
    await core.fault({ fault: 'answer_lost', count: 1 });
    const id = await core.bring();
    const { id: attemptId } = await core.attempt();
    for (let crash = 0; crash < 7; crash++)
      await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('a bug'));
    expect((await core.video(id)).state).toBe('submitting');
    await core.books();
    await core.advance(600_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    await recordDeadLetter(core.context, { kind: 'archive', id: 'fil_x' }, 'kept for reading');
    await core.books();
  });
});
