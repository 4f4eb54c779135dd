import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { registerAccount } from '../src/scheduling/accounts.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** What every attempt of the main account needs to be dispatched again. */
const credentials = (fingerprint: string, host: string) => ({
  id: 'main',
  provider: 'sandbox' as const,
  host,
  generations: ['legacy', 'standard'] as const,
  credentialsFingerprint: fingerprint,
  capacity: 3,
  models: ['kling-2.6', 'kling-3.0'],
  packType: 'video',
});

test('an accepted create is generating, holds its slot and its money, and is looked at later', async () => {
  const core = await openKlingCore(database);
  const id = await core.bring();
  expect((await core.video(id)).state).toBe('generating');
  const attempt = await core.attempt();
  expect(attempt).toMatchObject({ state: 'accepted', sent_count: 1, holds_slot: true, due_at: null });
  expect(attempt.task_id).toMatch(/^\d{18}$/);
  expect(attempt.look_at!.getTime()).toBeGreaterThan(attempt.sent_at!.getTime());
  expect((await core.pool()).in_use).toBe(1);
  await core.books();
  expect(await core.submit(id)).toEqual({ result: 'done' });
  expect(core.sandbox.stats().creates_accepted).toBe(1);
});

describe('refusals that are about the account', () => {
  test.each(['1000', '1001', '1002', '1100', '1101', '1304'])('%s pauses the account', async (fault) => {
    const core = await openKlingCore(database);
    await core.fault({ fault, count: 1 });
    const id = await core.bring();
    expect((await core.video(id)).state).toBe('queued');
    expect(await core.attempt()).toMatchObject({ state: 'refused', failure: { code: Number(fault) } });
    expect(await core.account()).toMatchObject({ pause_reason: fault });
    expect((await core.pool()).in_use).toBe(0);
    expect(core.asked).toContain('sandbox/kling-2.6/video');
    expect(await core.dispatch()).toBe(0);
    await core.books();
  });

  test.each(['1003', '1004'])('%s pauses it only after one more try with a new signature', async (fault) => {
    const core = await openKlingCore(database, { credentials: 'pair' });
    await registerAccount(database, { ...credentials('pair', core.sandbox.url), generations: ['legacy'] });
    await core.fault({ fault, count: 1 });
    const id = await core.bring();
    expect((await core.video(id)).state, 'one refusal').toBe('generating');
    await core.fault({ fault, count: 2 });
    await core.bring();
    expect(await core.account()).toMatchObject({ pause_reason: fault });
    await core.books();
  });

  test('a paused account never drains its queue into failures: one trial in five minutes', async () => {
    const core = await openKlingCore(database, { slots: 3 });
    await core.fault({ fault: '1101', count: 1_000 });
    const ids: string[] = [];
    for (let index = 0; index < 12; index++) ids.push(await core.create());
    for (let round = 0; round < 5; round++) {
      await core.dispatch();
      const open = await database.kysely
        .selectFrom('attempts')
        .select('video_id')
        .where('due_at', 'is not', null)
        .execute();
      for (const { video_id: videoId } of open) await core.submit(videoId);
    }
    expect(core.sandbox.stats().creates_refused).toEqual({ '1101': 1 });
    await core.advance(4 * 60_000);
    expect(await core.dispatch()).toBe(0);
    await core.advance(61_000);
    expect(await core.dispatch(), 'one trial').toBe(1);
    await core.submit();
    expect(core.sandbox.stats().creates_refused).toEqual({ '1101': 2 });
    expect(await core.dispatch()).toBe(0);
    const states = await Promise.all(ids.map(async (id) => (await core.video(id)).state));
    expect(new Set(states)).toEqual(new Set(['queued']));
    await core.books();

    await core.clearFaults();
    await core.advance(5 * 60_000);
    expect(await core.dispatch()).toBe(1);
    await core.submit();
    expect(await core.account(), 'a trial that is accepted ends the pause').toMatchObject({ paused_at: null });
    expect(await core.dispatch()).toBe(2);
    await core.books();
  });

  test('changed credentials end the pause, the same ones do not', async () => {
    const core = await openKlingCore(database);
    await core.fault({ fault: '1002', count: 1 });
    await core.bring();
    await registerAccount(database, credentials('test', core.sandbox.url));
    expect(await core.dispatch()).toBe(0);
    await registerAccount(database, credentials('mended', core.sandbox.url));
    expect(await core.dispatch()).toBe(1);
    expect(await core.submit()).toEqual({ result: 'done' });
    expect((await core.attempt()).state).toBe('accepted');
    await core.books();
  });

  test('a task found by a look-up does not end a pause: it says nothing about new creates', async () => {
    const core = await openKlingCore(database);
    await core.fault({ fault: 'answer_lost', count: 1 });
    const lost = await core.bring();
    await core.fault({ fault: '1101', count: 1 });
    const other = await core.bring();
    expect((await core.video(other)).state).toBe('queued');
    await core.advance(5_000);
    await core.submit(lost);
    expect((await core.video(lost)).state).toBe('generating');
    expect(await core.account()).toMatchObject({ pause_reason: '1101' });
  });

  test('an attempt that was dispatched before the pause is given back unsent', async () => {
    const core = await openKlingCore(database, { slots: 2 });
    const [first, second] = [await core.create(), await core.create()];
    await core.dispatch();
    await core.fault({ fault: '1100', count: 1 });
    await core.submit(first);
    await core.submit(second);
    expect(core.sandbox.stats().calls).toMatchObject({ create: 1 });
    expect((await core.video(second)).state).toBe('queued');
    expect(await core.attempt(second)).toMatchObject({ state: 'refused', sent_count: 0 });
    await core.books();
  });
});

describe('refusals that are about the pool', () => {
  test.each(['1102', '1103', '1202'])('%s pauses the pool and leaves others alone', async (fault) => {
    const core = await openKlingCore(database);
    await core.fault({ fault, count: 1 });
    const id = await core.bring();
    expect((await core.video(id)).state).toBe('queued');
    expect(await core.pool()).toMatchObject({ pause_reason: fault, in_use: 0 });
    expect((await core.account()).paused_at).toBeNull();
    expect(await core.dispatch()).toBe(0);
    const other = await core.bring({ model: 'kling-3.0' });
    expect((await core.video(other)).state).toBe('generating');
    await core.advance(5 * 60_000 + 1_000);
    expect(await core.dispatch()).toBe(1);
    await core.submit(id);
    expect((await core.video(id)).state).toBe('generating');
    expect((await core.pool()).paused_at).toBeNull();
    await core.books();
  });

  test('1303 gives the slot back, costs no turn, keeps the place, and shrinks the pool by what others use', async () => {
    const core = await openKlingCore(database, { slots: 3, sandbox: { taskMs: 600_000, slots: 3 } });
    await foreignTask(core.sandbox.url);
    await foreignTask(core.sandbox.url);
    const ids = [await core.create(), await core.create(), await core.create()];
    const [first = '', second = ''] = ids;
    const before = await core.flow();
    await core.dispatch();
    expect(await core.submit(first)).toEqual({ result: 'done' });
    const afterFirst = await core.flow();
    expect(await core.submit(second)).toEqual({ result: 'done' });
    expect((await core.video(second)).state).toBe('queued');
    expect(await core.attempt(second)).toMatchObject({ state: 'refused', failure: { code: 1303 } });
    expect(await core.pool()).toMatchObject({ effective: 1, in_use: 2, capacity: 3 });
    expect((await core.flow()).vfinish).toBeLessThan(afterFirst.vfinish);
    expect(before.vfinish).toBe(0);
    await core.books();
    expect(await core.dispatch(), 'the pool waits').toBe(0);
    const place = await core.create();
    expect((await core.video(second)).queue?.position).toBe(1);
    expect((await core.video(place)).queue?.position).toBe(2);
  });

  test('a task of ours whose answer is still awaited is not counted as one of others', async () => {
    const core = await openKlingCore(database, { slots: 3, sandbox: { taskMs: 600_000, slots: 3 } });
    await core.fault({ fault: 'answer_lost', count: 1 });
    await core.bring();
    await core.fault({ fault: '1303', count: 1 });
    await core.bring();
    expect(await core.pool()).toMatchObject({ effective: 3 });
  });
});

test('1302 keeps the slot, and no create of the account leaves before its common time', async () => {
  const core = await openKlingCore(database);
  await core.fault({ fault: '1302', count: 1 });
  const [first, second] = [await core.create(), await core.create()];
  await core.dispatch();
  expect(await core.submit(first)).toMatchObject({ result: 'retry' });
  expect((await core.video(first)).state).toBe('submitting');
  expect(await core.submit(second)).toMatchObject({ result: 'retry', reason: 'rate limited' });
  expect(core.sandbox.stats().calls).toMatchObject({ create: 1 });
  expect((await core.pool()).in_use).toBe(2);
  await core.books();
  await core.advance(3_000);
  await core.submit(first);
  await core.submit(second);
  expect([(await core.video(first)).state, (await core.video(second)).state]).toEqual(['generating', 'generating']);
  expect(core.sandbox.stats().max_creates_per_external_id).toBe(1);
  await core.books();
});

test.each(['1200', '1201', '1203', '1300', '1301'])(
  '%s fails the video with a reason and gives all back',
  async (fault) => {
    const core = await openKlingCore(database);
    await core.fault({ fault, count: 1 });
    const id = await core.bring();
    const video = await core.video(id);
    expect(video).toMatchObject({ state: 'failed', chargedCredits: 0n, error: { provider_code: Number(fault) } });
    expect(video.error?.message).toMatch(/^Kling (refused the (content|request)|does not offer this model).*\.$/);
    if (fault === '1301') expect(video.error?.code).toBe('content_policy');
    expect(await core.receipt(id)).toMatchObject({ held: 0n, captured: 0n, released: 1_500_000n });
    expect((await core.pool()).in_use).toBe(0);
    await core.books();
  },
);

test('a host that cannot be reached is tried again soon, without a look-up or the settle delay', async () => {
  const core = await openKlingCore(database);
  await database.kysely.updateTable('accounts').set({ host: 'http://127.0.0.1:9' }).execute();
  const id = await core.bring();
  expect(await core.attempt()).toMatchObject({ state: 'sent', sent_count: 1, refused_count: 1, holds_slot: true });
  await core.books();
  await database.kysely.updateTable('attempts').set({ host: core.sandbox.url }).execute();
  await core.advance(2_000);
  await core.submit();
  expect((await core.video(id)).state).toBe('generating');
  expect(core.sandbox.stats().calls).toEqual({ create: 1 });
});

test('an attempt of an account that is not configured here waits, sends nothing and is not in doubt', async () => {
  const core = await openKlingCore(database, { credentials: 'none' });
  const id = await core.bring();
  expect(await core.attempt()).toMatchObject({ state: 'sent', holds_slot: true, sent_count: 1, refused_count: 1 });
  expect((await core.video(id)).state).toBe('submitting');
  expect(core.sandbox.stats().calls).toEqual({});
  await core.books();
});

test('a video canceled before anything was sent is free at once, and nothing is sent for it', async () => {
  const core = await openKlingCore(database);
  const id = await core.start();
  const video = await core.videos.cancel(id, testWorkspace);
  expect(video).toMatchObject({ state: 'canceled', chargedCredits: 0n });
  expect((await core.pool()).in_use).toBe(0);
  await core.books();
  await core.submit(id);
  expect(core.sandbox.stats().calls).toEqual({});
  await core.books();
});

test('a video canceled while its create waits for the rate limit is free at once', async () => {
  const core = await openKlingCore(database);
  await core.fault({ fault: '1302', count: 1 });
  const id = await core.bring();
  expect(await core.videos.cancel(id, testWorkspace)).toMatchObject({ chargedCredits: 0n });
  await core.books();
  await core.advance(60_000);
  await core.submit(id);
  expect(core.sandbox.stats().creates_accepted).toBe(0);
});

test('a refusal of a video that was canceled in doubt releases its money once and frees slot and flow', async () => {
  const core = await openKlingCore(database);
  await core.fault({ fault: 'html_502', count: 1 });
  const id = await core.bring();
  const canceled = await core.videos.cancel(id, testWorkspace);
  expect(canceled).toMatchObject({ state: 'canceled', chargedCredits: null });
  await core.books();
  await core.advance(91_000);
  await core.submit(id);
  expect(await core.video(id)).toMatchObject({ state: 'canceled', chargedCredits: 0n });
  expect(await core.attempt()).toMatchObject({ state: 'refused', sent_count: 1 });
  expect(core.sandbox.stats().creates_accepted, 'nothing is bought for a canceled video').toBe(0);
  await core.books();
});

test('a lease is another worker to respect: a claimed attempt is left alone', async () => {
  const core = await openKlingCore(database);
  const id = await core.start();
  await database.kysely
    .updateTable('attempts')
    .set({ lease_until: sql<Date>`dailies_now() + interval '1 minute'` })
    .execute();
  expect(await core.submit(id)).toEqual({ result: 'done' });
  expect(core.sandbox.stats().calls).toEqual({});
});

/** A task that somebody else makes on the account. */
async function foreignTask(url: string): Promise<void> {
  const { sandboxApiKey } = await import('@dailies/sandbox');
  const answer = await fetch(`${url}/text-to-video/kling-2.6`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandboxApiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'somebody else' }),
  });
  if (answer.status !== 200) throw new Error(await answer.text());
}
