import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ensureBudget } from '../src/budget/create-budgets.ts';
import type { Database } from '../src/db/database.ts';
import { inTransaction } from '../src/db/transaction.ts';
import { registerAccount } from '../src/scheduling/accounts.ts';
import { pausePool } from '../src/scheduling/limits.ts';
import { reconcileSlots } from '../src/scheduling/slots.ts';
import type { TaskReport } from '../src/kling/kling-api.ts';
import { createDispatcher } from '../src/videos/dispatcher.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { end } from '../src/videos/settle.ts';
import { assertBooks } from './support/assertions.ts';
import { until } from './support/api.ts';
import { openCore, testWorkspace } from './support/core.ts';
import { advanceClock, openPostgresTestDatabase } from './support/database.ts';
import { reachablePostgres } from '../../../test/servers/postgres.ts';
import { emptyTables } from './support/kling-core.ts';

const url = await reachablePostgres();
const family = 'sandbox/kling-2.6/video';

describe.skipIf(url === null)('races (need several connections: skipped without a PostgreSQL server)', () => {
  let database: Database;
  let core: Awaited<ReturnType<typeof openCore>>;
  beforeAll(async () => {
    database = await openPostgresTestDatabase(url ?? '');
  });
  afterAll(() => database.close());
  beforeEach(() => emptyTables(database));
  afterEach(() => core.close());

  const times = <Value>(count: number, make: (index: number) => Promise<Value>): Promise<Value[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => make(index)));
  const attempts = () => database.kysely.selectFrom('attempts').selectAll().orderBy('created_at').execute();
  const dispatch = () => dispatchFamily(core.context, family);

  /** As if Kling had answered a create. */
  const accept = () =>
    database.kysely
      .updateTable('attempts')
      .set({ state: 'accepted', task_id: sql`id`, sent_count: 1, sent_at: sql<Date>`dailies_now()`, due_at: null })
      .where('state', '=', 'intended')
      .execute();
  const report = (status: 'succeeded' | 'failed'): TaskReport => ({
    taskId: 'x',
    externalTaskId: null,
    status,
    statusWord: status,
    message: '',
    createdAtMs: null,
    updatedAtMs: null,
    video: null,
    deductedUnits: null,
  });
  const endWith = (attempt: Awaited<ReturnType<typeof attempts>>[number], status: 'succeeded' | 'failed') => {
    const file = { id: null, url: 'https://kling.example/v.mp4', duration: null, expiresAtMs: null };
    return end(core.context, attempt, report(status), status === 'succeeded' ? file : null);
  };

  test('eight dispatchers never start more than there are slots, and all slots are used', async () => {
    core = await openCore(database, { slots: 5 });
    for (let index = 0; index < 20; index++) await core.create();
    const started = await times(8, dispatch);
    expect(started.reduce((sum, count) => sum + count, 0)).toBe(5);
    expect(await attempts()).toHaveLength(5);
    await assertBooks(database);
  });

  test('families that share a pool never start more together than it has slots', async () => {
    core = await openCore(database, { slots: 3 });
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 4; index++) {
        await core.create();
        await core.create({ negative_prompt: 'blur' });
      }
      await times(8, (index) => dispatchFamily(core.context, index % 2 ? family : `${family}/legacy`));
      expect((await attempts()).filter((attempt) => attempt.holds_slot)).toHaveLength(3);
      await assertBooks(database);
      await accept();
      for (const attempt of await attempts()) await endWith(attempt, 'failed');
    }
  });

  test('dispatchers, ending tasks and the reconciler at once keep the count exact', async () => {
    core = await openCore(database, { slots: 4 });
    for (let index = 0; index < 24; index++) await core.create();
    for (let round = 0; round < 12; round++) {
      await accept();
      const open = (await attempts()).filter((attempt) => attempt.holds_slot);
      const mended = times(8, () => reconcileSlots(database));
      await Promise.all([
        ...open.map((attempt, index) => endWith(attempt, index % 2 ? 'failed' : 'succeeded')),
        dispatch(),
        dispatch(),
      ]);
      expect((await mended).flat()).toEqual([]);
      await assertBooks(database);
    }
    await dispatch();
    expect(await attempts()).toHaveLength(24);
  });

  test('the reconciler mends a wrong count', async () => {
    core = await openCore(database, { slots: 3 });
    for (let index = 0; index < 5; index++) await core.create();
    await dispatch();
    await database.kysely.updateTable('pools').set({ in_use: 1 }).where('model', '=', 'kling-2.6').execute();
    const [mended] = await Promise.all([reconcileSlots(database), reconcileSlots(database)]);
    expect(mended.length).toBeLessThanOrEqual(1);
    expect(await dispatch()).toBe(0);
    await assertBooks(database);
  });

  test('200 concurrent creates against a limit for 50: exactly 50 are accepted', async () => {
    core = await openCore(database, { limit: '75' });
    const outcomes = await times(200, () =>
      core.create().then(
        () => 'accepted',
        (error: Error & { code?: string }) => error.code ?? error.message,
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(50);
    expect(outcomes.filter((outcome) => outcome === 'over_budget')).toHaveLength(150);
    expect((await core.budgets.get(testWorkspace)).available).toBe(0n);
    await assertBooks(database);
  });

  test('50 parallel creates with one key make one video and get equal answers', async () => {
    core = await openCore(database);
    const ids = await times(50, () => core.create({ metadata: { order: '7' } }, 'key'));
    expect(new Set(ids).size).toBe(1);
    expect(await database.kysely.selectFrom('videos').select('id').execute()).toHaveLength(1);
    await assertBooks(database);
  });

  test('cancel against dispatch: free and unsent, whoever is first', async () => {
    core = await openCore(database, { slots: 2 });
    for (let round = 0; round < 15; round++) {
      const id = await core.create();
      await Promise.all([dispatch(), core.videos.cancel(id, testWorkspace), dispatch()]);
      expect(await core.videos.get(id, testWorkspace)).toMatchObject({ state: 'canceled', chargedCredits: 0n });
      await assertBooks(database);
    }
    expect((await attempts()).every((attempt) => attempt.state === 'refused')).toBe(true);
  });

  test('ten settles of one task book one charge and free one slot', async () => {
    core = await openCore(database, { slots: 2 });
    const id = await core.create();
    await core.create();
    await dispatch();
    await accept();
    const attempt = (await attempts()).find((row) => row.video_id === id)!;
    const results = await times(10, (index) => endWith(attempt, index % 2 ? 'succeeded' : 'failed'));
    expect(results.filter((result) => result === 'ended')).toHaveLength(1);
    const files = await database.kysely.selectFrom('files').select('id').execute();
    expect(files).toHaveLength(results.indexOf('ended') % 2);
    await assertBooks(database);
  });

  test('settle against cancel: one charge, and the state of whoever was first', async () => {
    core = await openCore(database, { slots: 2 });
    for (let round = 0; round < 10; round++) {
      const id = await core.create();
      await dispatch();
      await accept();
      const attempt = (await attempts()).find((row) => row.video_id === id)!;
      await Promise.all([endWith(attempt, 'succeeded'), core.videos.cancel(id, testWorkspace).catch(() => {})]);
      const video = await core.videos.get(id, testWorkspace);
      expect(['canceled', 'archiving']).toContain(video.state);
      expect(video.chargedCredits).toBe(1_500_000n);
      await assertBooks(database);
    }
  });

  test('creates that race an emptying queue are all dispatched by their own requests, without the timer', async () => {
    core = await openCore(database, { slots: 50 });
    const dispatcher = createDispatcher(
      (familyId) => dispatchFamily(core.context, familyId),
      (error) => {
        throw error;
      },
    );
    const { context } = core;
    Object.assign(context, { requestDispatch: dispatcher.request });
    await times(40, () => core.create());
    await dispatcher.idle();
    const waiting = await database.kysely.selectFrom('videos').select('id').where('state', '=', 'queued').execute();
    expect(waiting).toEqual([]);
    expect(await attempts()).toHaveLength(40);
    await assertBooks(database);
  });

  test('creates of other workspaces do not wait for a dispatch that is under way', async () => {
    core = await openCore(database);
    await core.create();
    await database.kysely.insertInto('workspaces').values({ id: 'ws_other', name: 'Other' }).execute();
    await ensureBudget(database.kysely, 'ws_other', 'sandbox', null);
    const other = { workspaceId: 'ws_other', idempotencyKey: null, render: () => null };
    const published = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { queue } = core.context;
    const publish: typeof queue.publish = async (messages, trx) => {
      published.resolve();
      await goOn.promise;
      await queue.publish(messages, trx);
    };
    const dispatching = dispatchFamily({ ...core.context, queue: { ...queue, publish } }, family);
    await published.promise;
    const created = await Promise.race([core.videos.create({ prompt: 'a fox' }, other), delay(5_000, 'waits')]);
    goOn.resolve();
    expect(created).not.toBe('waits');
    expect(await dispatching).toBeGreaterThan(0);
  });

  test('a connection that breaks inside a transaction fails that transaction and nothing else', async () => {
    core = await openCore(database);
    const broken = inTransaction(database, async ({ trx }) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
      const { native } = database;
      if (!('pool' in native)) throw new Error('not a server');
      await native.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      // Until this process has read that the connection is gone.
      await delay(50);
      await sql`select 1`.execute(trx);
    });
    await expect(broken).rejects.toThrow();
    await core.create();
    await assertBooks(database);
  });

  test('a paused account gives one trial, however many families ask at once', async () => {
    for (let round = 0; round < 5; round++) {
      await core?.close();
      await emptyTables(database);
      core = await openCore(database, { slots: 3 });
      await core.create();
      await core.create({ model: 'kling-3.0' });
      await database.kysely
        .updateTable('accounts')
        .set({ paused_at: sql<Date>`dailies_now()`, trial_at: sql<Date>`dailies_now()`, pause_reason: '1101' })
        .execute();
      const families = [family, 'sandbox/kling-3.0/video'];
      const started = await times(6, (index) => dispatchFamily(core.context, families[index % 2] ?? ''));
      expect(started.reduce((sum, count) => sum + count, 0)).toBe(1);
      await assertBooks(database);
    }
  });

  test('a paused pool gives one trial in five minutes', async () => {
    core = await openCore(database, { slots: 3 });
    for (let index = 0; index < 4; index++) await core.create();
    await pausePool(database.kysely, 'main/kling-2.6/video', { reason: '1103', detail: '' });
    expect((await times(4, dispatch)).reduce((sum, count) => sum + count, 0)).toBe(0);
    await advanceClock(database, 5 * 60_000);
    expect((await times(4, dispatch)).reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  test('workers that start at once agree on a new account and its pools', async () => {
    core = await openCore(database, {});
    const account = {
      id: 'new',
      provider: 'sandbox',
      host: 'http://127.0.0.1:1',
      generations: ['legacy'],
      credentialsFingerprint: 'same',
      capacity: 3,
      models: ['kling-2.6', 'kling-3.0'],
      packType: 'video',
    } as const;
    await times(8, () => registerAccount(database, account));
    const { kysely } = database;
    expect(await kysely.selectFrom('accounts').select('id').where('id', '=', 'new').execute()).toHaveLength(1);
    expect(await kysely.selectFrom('pools').select('id').where('account_id', '=', 'new').execute()).toHaveLength(2);
  });

  test('a reader of workspace events never misses one, whatever commits late', async () => {
    core = await openCore(database);
    const seen = new Set<string>();
    let { cursor } = await core.videos.listWorkspaceEvents(testWorkspace, null);
    const read = async () => {
      const page = await core.videos.listWorkspaceEvents(testWorkspace, cursor);
      for (const event of page.events) {
        const key = `${event.videoId}/${event.seq}`;
        expect(seen.has(key), 'twice').toBe(false);
        seen.add(key);
      }
      cursor = page.cursor;
    };
    let writing = true;
    const reading = (async () => {
      while (writing) await read();
    })();
    await times(8, async () => {
      for (let index = 0; index < 10; index++) {
        const id = await core.create();
        if (index % 2) await core.videos.cancel(id, testWorkspace);
      }
    });
    writing = false;
    await reading;
    const all = await database.kysely.selectFrom('events').select(['video_id', 'seq']).execute();
    // Any transaction that runs in the cluster, also in other databases, holds the newest events back for a moment.
    await until(async () => {
      await read();
      return seen.size >= all.length;
    }, 'every event to be read');
    expect(seen.size).toBe(all.length);
    expect(all.length).toBe(8 * (10 + 5 * 2));
  });
});
