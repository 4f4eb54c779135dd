import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { until } from './support/api.ts';
import { openCore, testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';

const family = 'sandbox/kling-2.6/video';
let database: Database;
let core: Awaited<ReturnType<typeof openCore>>;
beforeAll(async () => {
  database = await openTestDatabase();
  core = await openCore(database, { slots: 3, limit: '12' });
});
afterAll(async () => {
  await core.close();
  await database.close();
});

test('a dispatch starts as many videos as there are slots, in the order of priority and age', async () => {
  const first = await core.create();
  const second = await core.create();
  const urgent = await core.create({ priority: 5 });
  const last = await core.create();
  expect(core.asked).toEqual([family, family, family, family]);
  expect((await core.videos.get(last, testWorkspace)).queue).toMatchObject({ position: 4 });

  expect(await dispatchFamily(core.context, family)).toBe(3);
  expect(await dispatchFamily(core.context, family)).toBe(0);

  const attempts = await database.kysely.selectFrom('attempts').selectAll().orderBy('id').execute();
  expect(new Set(attempts.map((attempt) => attempt.video_id))).toEqual(new Set([urgent, first, second]));
  expect(attempts[0]).toMatchObject({ state: 'intended', generation: 'standard', path: '/text-to-video/kling-2.6' });
  expect((await core.videos.get(last, testWorkspace)).state).toBe('queued');
  const pool = await database.kysely
    .selectFrom('pools')
    .selectAll()
    .where('model', '=', 'kling-2.6')
    .executeTakeFirst();
  expect(pool).toMatchObject({ in_use: 3, capacity: 3 });
  const flow = await database.kysely.selectFrom('flows').selectAll().executeTakeFirst();
  expect(flow).toMatchObject({ queued: 1, in_flight: 3 });
  expect((await core.context.queue.depth()).submit).toBe(3);
});

test('money is held at acceptance, and refused over the limit with what is needed and left', async () => {
  expect(await core.budgets.get(testWorkspace)).toMatchObject({ held: 6_000_000n, available: 6_000_000n });
  const { videos, create } = core;
  for (let index = 0; index < 4; index++) await create();
  await expect(create()).rejects.toMatchObject({
    code: 'over_budget',
    data: { needed_credits: 1.5, available_credits: 0, limit_credits: 12 },
  });
  const { rows } = { rows: await database.kysely.selectFrom('ledger_entries').selectAll().execute() };
  expect(rows.reduce((sum, row) => sum + Number(row.amount), 0)).toBe(0);
  const page = await videos.list({ states: null, model: null, metadata: {}, limit: 3, cursor: null }, testWorkspace);
  expect(page.videos).toHaveLength(3);
  const next = await videos.list(
    { states: null, model: null, metadata: {}, limit: 100, cursor: page.nextCursor },
    testWorkspace,
  );
  expect(next.videos).toHaveLength(5);
});

test('canceling a queued video is free and gives its money back', async () => {
  const page = await core.videos.list(
    { states: ['queued'], model: null, metadata: {}, limit: 1, cursor: null },
    testWorkspace,
  );
  const id = page.videos[0]!.id;
  const canceled = await core.videos.cancel(id, testWorkspace);
  expect(canceled).toMatchObject({ state: 'canceled', chargedCredits: 0n });
  expect(await core.videos.receipt(id, testWorkspace)).toMatchObject({ held: 0n, captured: 0n, released: 1_500_000n });
  expect((await core.budgets.get(testWorkspace)).held).toBe(10_500_000n);
  await expect(core.videos.cancel(id, testWorkspace)).rejects.toMatchObject({ code: 'state_conflict' });
  const events = await core.videos.listEvents(id, testWorkspace, 0);
  expect(events.map((event) => [event.seq, event.type])).toEqual([
    [1, 'video.queued'],
    [2, 'video.canceled'],
    [3, 'video.charged'],
  ]);
});

test('the same idempotency key gives the first answer again, and another body is refused', async () => {
  const id = await core.create({ metadata: { a: '1' } }, 'key-1');
  expect(await core.create({ metadata: { a: '1' } }, 'key-1')).toBe(id);
  await expect(core.create({ metadata: { a: '2' } }, 'key-1')).rejects.toMatchObject({
    code: 'idempotency_key_reused',
  });
});

test('workspace events come once each, in order, from a cursor on', async () => {
  const { cursor } = await core.videos.listWorkspaceEvents(testWorkspace, null);
  const page = await core.videos.list(
    { states: ['queued'], model: null, metadata: {}, limit: 1, cursor: null },
    testWorkspace,
  );
  await core.videos.cancel(page.videos[0]!.id, testWorkspace);
  const types: string[] = [];
  let next = cursor;
  // Any transaction that runs in the cluster, also in other databases, holds the newest events back for a moment.
  await until(async () => {
    const read = await core.videos.listWorkspaceEvents(testWorkspace, next);
    types.push(...read.events.map((event) => event.type));
    next = read.cursor;
    return types.length >= 2;
  }, 'both events');
  expect(types).toEqual(['video.canceled', 'video.charged']);
  expect((await core.videos.listWorkspaceEvents(testWorkspace, next)).events).toEqual([]);
});
