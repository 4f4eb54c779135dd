import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import type { ExpectedDuration } from '../src/scheduling/durations.ts';
import { firstLookMs, nextLookMs } from '../src/videos/look-times.ts';
import { hint, listDueAccounts, lookAtAccount, nextLookInMs } from '../src/videos/look.ts';
import type { VideosOptions } from '../src/videos/context.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const running = { taskMs: 3_600_000 };
const queries = (core: { sandbox: { stats(): { calls: Record<string, number> } } }) =>
  core.sandbox.stats().calls['query'] ?? 0;

describe('looking', () => {
  test('a running task is looked at again later, not at once', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    await core.bring();
    expect(await core.look(), 'before its time').toBe(0);
    await core.advance(60_000);
    expect(await core.look()).toBe(1);
    const wait = (await nextLookInMs(core.context)) ?? 0;
    expect(wait).toBeGreaterThan(5_000);
    expect(wait).toBeLessThan(10_000);
    expect(await core.look()).toBe(0);
    expect(queries(core)).toBe(1);
  });

  test('many tasks of an account are asked for in few calls', async () => {
    const core = await openKlingCore(database, { slots: 30, sandbox: { ...running, slots: 30 } });
    for (let index = 0; index < 25; index++) await core.create();
    await core.dispatch();
    const attempts = await database.kysely.selectFrom('attempts').select('video_id').execute();
    for (const attempt of attempts) await core.submit(attempt.video_id);
    await core.advance(120_000);
    expect(await core.look()).toBe(25);
    expect(queries(core)).toBe(2);
    await core.books();
  });

  test('what one worker looks at is not looked at by another, until the lease has ended', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    await core.bring();
    await core.advance(60_000);
    await database.kysely
      .updateTable('attempts')
      .set({ look_lease_until: sql<Date>`dailies_now() + interval '1 minute'` })
      .execute();
    expect(await listDueAccounts(core.context)).toEqual([]);
    expect(await lookAtAccount(core.context, core.kling, 'main', new AbortController().signal)).toBe(0);
    await core.advance(61_000);
    expect(await core.look()).toBe(1);
  });

  test('an answer that teaches nothing moves nothing and is asked for again with growing waits', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    const id = await core.bring();
    await core.fault({ fault: '5000', call: 'query', count: 100 });
    const waits: number[] = [];
    for (let round = 0; round < 5; round++) {
      await core.advance(10 * 60_000);
      await core.look();
      waits.push(Math.round(((await nextLookInMs(core.context)) ?? 0) / 1_000));
    }
    expect(waits).toEqual([1, 2, 4, 8, 16]);
    expect((await core.video(id)).state).toBe('generating');
    await core.books();
  });

  test('one attempt that cannot be settled does not keep the others from it', async () => {
    const core = await openKlingCore(database, { slots: 2 });
    const [poison, good] = [await core.bring(), await core.bring()];
    await sql`alter table files add constraint poison check (video_id <> ${sql.lit(poison)})`.execute(database.kysely);
    try {
      await core.ended();
      await core.advance(600_000);
      await core.look();
      expect((await core.video(good)).state).toBe('archiving');
      expect((await core.video(poison)).state).toBe('generating');
      expect(await core.look(), 'waits before it is tried again').toBe(0);
      await core.books();
    } finally {
      await sql`alter table files drop constraint poison`.execute(database.kysely);
    }
    await core.advance(600_000);
    await core.look();
    expect((await core.video(poison)).state).toBe('archiving');
  });
});

describe('hints', () => {
  test('a hint brings the look forward; repeated hints cause one query', async () => {
    const core = await openKlingCore(database, { sandbox: { taskMs: 0 } });
    const id = await core.bring();
    await core.ended();
    const { id: attemptId } = await core.attempt();
    const before = (await core.context.queue.depth()).look;
    for (let index = 0; index < 5; index++) await hint(core.context, attemptId);
    expect((await core.context.queue.depth()).look).toBe(before + 1);
    expect(await core.look()).toBe(1);
    expect(queries(core)).toBe(1);
    expect((await core.video(id)).state).toBe('archiving');
    await hint(core.context, attemptId);
    expect(await core.look(), 'it has ended').toBe(0);
    await core.books();
  });

  test('a forged hint of success causes one query and moves nothing', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    const id = await core.bring();
    await hint(core.context, (await core.attempt()).id);
    await core.look();
    expect((await core.video(id)).state).toBe('generating');
    expect(await core.look()).toBe(0);
    expect(queries(core)).toBe(1);
    await hint(core.context, 'att_unknown');
    expect(await core.look()).toBe(0);
  });

  test('a hint that comes while the look is under way is followed by another look', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    await core.bring();
    const { id } = await core.attempt();
    await core.advance(60_000);
    const kling = {
      ...core.kling,
      getTasks: async (...asked: Parameters<typeof core.kling.getTasks>) => {
        await hint(core.context, id);
        return core.kling.getTasks(...asked);
      },
    };
    await lookAtAccount(core.context, kling, 'main', new AbortController().signal);
    expect(await core.look()).toBe(1);
    expect(await core.look()).toBe(0);
  });

  test('a hint before the task id is known is kept and used when the task is known', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    await hint(core.context, (await core.attempt()).id);
    expect(await core.look()).toBe(0);
    await core.submit();
    await core.ended();
    expect(await core.look()).toBe(1);
    expect((await core.video(id)).state).toBe('archiving');
  });

  test('a hint for a create in doubt brings its look-up forward, once', async () => {
    const core = await openKlingCore(database);
    await core.fault({ fault: 'answer_lost', count: 1 });
    const id = await core.bring();
    expect(await core.submit(), 'not due').toEqual({ result: 'done' });
    expect((await core.video(id)).state).toBe('submitting');
    const { id: attemptId } = await core.attempt();
    const before = (await core.context.queue.depth()).submit;
    await hint(core.context, attemptId);
    await hint(core.context, attemptId);
    expect((await core.context.queue.depth()).submit).toBe(before + 1);
    await core.submit();
    await core.ended();
    await core.look();
    expect((await core.video(id)).state).toBe('archiving');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
    await core.books();
  });
});

describe('a task that never ends', () => {
  const day = 24 * 3_600_000;

  test('is given up after a day: slot and money are free, and it is looked at hourly', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    const id = await core.bring();
    await core.advance(day + 1_000);
    await core.look();
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      chargedCredits: 0n,
      error: { code: 'provider_lost' },
    });
    expect(await core.attempt()).toMatchObject({ state: 'abandoned', holds_slot: false });
    expect((await core.pool()).in_use).toBe(0);
    expect(await core.receipt(id)).toMatchObject({ held: 0n, released: 1_500_000n });
    await core.books();
    await core.fault({ fault: '5000', call: 'query', count: 10 });
    for (let round = 0; round < 2; round++) {
      await core.advance(3_600_000);
      expect(await core.look()).toBe(1);
      expect(await nextLookInMs(core.context)).toBeGreaterThan(3_500_000);
    }
    await core.advance(31 * day);
    await core.look();
    expect(await nextLookInMs(core.context), 'after 30 days nothing can be learned').toBeNull();
    await core.books();
  });

  test('is given up after a day too when its record is missing', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    const id = await core.bring();
    await core.sandbox.reset();
    await core.advance(day + 1_000);
    await core.look();
    expect((await core.video(id)).error?.code).toBe('provider_lost');
    await core.books();
  });

  test('a canceled one stays canceled when it is given up', async () => {
    const core = await openKlingCore(database, { sandbox: running });
    const id = await core.bring();
    await core.videos.cancel(id, testWorkspace);
    await core.books();
    await core.advance(day + 1_000);
    await core.look();
    expect(await core.video(id)).toMatchObject({ state: 'canceled', chargedCredits: 0n, error: null });
    await core.books();
  });
});

describe('when to look', () => {
  const timing = { options: { pollFloorMs: 100 } as VideosOptions };
  const guess: ExpectedDuration = { p50Ms: 60_000, p10Ms: 6_000, p99Ms: 180_000, observed: false };
  const seen: ExpectedDuration = { p50Ms: 60_000, p10Ms: 50_000, p99Ms: 90_000, observed: true };

  test('first: at a tenth of a guess, or just after the fast tenth of what was seen; never below the floor', () => {
    expect(firstLookMs(timing, guess)).toBe(6_000);
    expect(firstLookMs(timing, seen)).toBe(50_900);
    expect(firstLookMs(timing, { ...guess, p10Ms: 1 })).toBe(100);
  });

  test.each([
    ['a guess: half its age again', guess, 6_000, 3_000],
    ['a guess, very young', guess, 10, 100],
    ['a guess, at its end: a tenth of it', guess, 60_000, 6_000],
    ['a guess, overdue: a tenth of its age', guess, 200_000, 20_000],
    ['seen, before the fast tenth: then', seen, 20_000, 30_000],
    ['seen, around the middle: every 5 %', seen, 60_000, 3_000],
    ['seen, overdue: by its age', seen, 190_000, 10_000],
  ])('next: %s', (_what, expected, ageMs, waitMs) => {
    expect(nextLookMs(timing, expected, ageMs)).toBe(waitMs);
  });
});
