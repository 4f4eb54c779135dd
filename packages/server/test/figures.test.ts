import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sampleFigures } from '../src/compose-metrics.ts';
import { pauseAccount, pausePool } from '../src/scheduling/limits.ts';
import { readFigures, readLedgerFigures } from '../src/videos/figures.ts';
import type { Database } from '../src/db/database.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function read() {
  return readFigures(database, 'sandbox');
}

describe('figures of the platform', () => {
  let core: Awaited<ReturnType<typeof openKlingCore>>;
  beforeEach(async () => {
    core = await openKlingCore(database, { slots: 3, limit: '30' });
  });
  const poolOf = async (model = 'kling-2.6') => (await read()).pools.find((pool) => pool.model === model);

  test('follow videos from the queue to their end', async () => {
    expect(await read()).toMatchObject({ queued: 0, underWay: {}, oldestWaitingSeconds: 0 });
    for (let index = 0; index < 5; index++) await core.create();
    expect(await read()).toMatchObject({ queued: 5, underWay: {} });
    expect(await poolOf()).toMatchObject({ capacity: 3, effective: 3, inUse: 0, idle: 3, paused: false });
    await core.dispatch();
    expect(await read()).toMatchObject({ queued: 2, underWay: { submitting: 3 }, due: { submit: 3 } });
    expect(await poolOf()).toMatchObject({ inUse: 3, idle: 0 });
    for (const { id } of await database.kysely
      .selectFrom('videos')
      .select('id')
      .where('state', '=', 'submitting')
      .execute())
      await core.submit(id);
    expect(await read()).toMatchObject({ queued: 2, underWay: { generating: 3 }, due: { submit: 0 } });
    await core.ended();
    await core.advance(600_000);
    expect((await read()).due.look).toBe(3);
    await core.look();
    expect(await read()).toMatchObject({
      queued: 2,
      underWay: { archiving: 3 },
      files: { pending: 3, failing: 0, deadlineSeconds: expect.closeTo(30 * 86_400, -3) },
      due: { archive: 3, look: 0 },
    });
    await database.kysely.updateTable('files').set({ tries: 3, last_error: 'the bucket denies writes' }).execute();
    expect((await read()).files.failing).toBe(3);
  });

  test('the oldest waiting video is found whatever its priority and its workspace', async () => {
    await core.create({ priority: -10 });
    await core.advance(100_000);
    await core.create({ priority: 10 });
    await core.create({ model: 'kling-3.0' });
    await core.advance(20_000);
    await core.create({ priority: 10 });
    expect((await read()).oldestWaitingSeconds).toBeCloseTo(120, -1);
  });

  test('a slot that may not be used is not idle', async () => {
    await core.create();
    expect((await poolOf())?.idle).toBe(1);
    expect((await poolOf('kling-3.0'))?.idle).toBe(0);
    await pausePool(database.kysely, 'main/kling-2.6/video', { reason: '1102', detail: 'no pack' });
    expect(await poolOf()).toMatchObject({ idle: 0, paused: true });
    await database.kysely.updateTable('pools').set({ paused_at: null }).execute();
    await pauseAccount(database.kysely, 'main', { reason: '1000', detail: 'refused' });
    expect((await poolOf())?.idle).toBe(0);
    expect((await read()).accounts).toEqual([{ id: 'main', paused: true }]);
  });

  test('money: what is held and captured, how full limits are, and a ledger that adds up', async () => {
    await core.create();
    await core.create();
    expect(await read()).toMatchObject({
      budgets: [{ provider: 'sandbox', held: 3, captured: 0, limit: 30 }],
      fullest: [{ workspace: 'ws_default', used: 0.1 }],
    });
    expect(await readLedgerFigures(database.kysely)).toEqual({ sum: 0, heldDrift: 0, capturedDrift: 0 });
    await database.kysely.updateTable('budgets').set({ held_credits: '1' }).execute();
    expect(await readLedgerFigures(database.kysely)).toEqual({ sum: 0, heldDrift: -2, capturedDrift: 0 });
    await sql`update ledger_entries set amount = amount + 0.5 where account = 'available' and id = (select min(id) from ledger_entries)`.execute(
      database.kysely,
    );
    expect((await readLedgerFigures(database.kysely)).sum).toBe(0.5);
  });

  test('workers are wanted for the work there is, but not for more than the slots', async () => {
    const wanted = async () =>
      sampleFigures(await read(), 3).find(({ name }) => name === 'dailies_workers_wanted')?.value;
    expect(await wanted()).toBe(0);
    await core.create();
    expect(await wanted()).toBe(1);
    for (let index = 0; index < 11; index++) await core.create();
    const slots = (await read()).pools.reduce((sum, pool) => sum + pool.effective, 0);
    expect(slots).toBe(9);
    expect(await wanted()).toBe(3);
  });
});
