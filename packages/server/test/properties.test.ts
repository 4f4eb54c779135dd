import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureBudget } from '../src/budget/create-budgets.ts';
import type { Database } from '../src/db/database.ts';
import { inTransaction } from '../src/db/transaction.ts';
import { addCredits, credits, creditsToString, multiplyCredits, negateCredits } from '../src/kernel/money.ts';
import { reconcileSlots } from '../src/scheduling/slots.ts';
import { chooseFlow, finishInFlow, startInFlow } from '../src/scheduling/flows.ts';
import { attemptMoves } from '../src/videos/attempt.ts';
import { expireQueued } from '../src/videos/end-video.ts';
import { hint } from '../src/videos/look.ts';
import { canMove, isFinal, statesBefore, videoMoves, videoStates } from '../src/videos/video.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { emptyTables, openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

describe('states', () => {
  const reachable = (moves: Readonly<Record<string, readonly string[]>>, from: string): Set<string> => {
    const seen = new Set([from]);
    for (const state of seen) for (const next of moves[state] ?? []) seen.add(next);
    return seen;
  };

  test('every state of a video can be reached, and nothing leads out of a final one', () => {
    expect(reachable(videoMoves, 'queued')).toEqual(new Set(videoStates));
    expect(videoStates.filter(isFinal)).toEqual(['completed', 'failed', 'canceled']);
    for (const from of videoStates) {
      for (const to of videoStates) {
        if (isFinal(from)) expect(canMove(from, to)).toBe(false);
        expect(statesBefore(to).includes(from)).toBe(canMove(from, to));
      }
    }
  });

  test('every state of an attempt can be reached; a refused or ended one stays so', () => {
    expect(reachable(attemptMoves, 'intended')).toEqual(new Set(Object.keys(attemptMoves)));
    expect([attemptMoves.refused, attemptMoves.ended]).toEqual([[], []]);
  });
});

test('money: text and amount are the same thing, and sums are exact', () => {
  const amount = fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n });
  const ofMicro = (micro: bigint) => credits(`${micro < 0n ? '-' : ''}${digits(micro)}`);
  const digits = (micro: bigint) => {
    const text = (micro < 0n ? -micro : micro).toString().padStart(7, '0');
    return `${text.slice(0, -6)}.${text.slice(-6)}`;
  };
  fc.assert(
    fc.property(amount, amount, fc.nat(100), (left, right, times) => {
      const [a, b] = [ofMicro(left), ofMicro(right)];
      expect(a).toBe(left);
      expect(credits(creditsToString(a))).toBe(a);
      expect(addCredits(a, b, negateCredits(b))).toBe(a);
      expect(multiplyCredits(a, times)).toBe(left * BigInt(times));
    }),
  );
  for (const text of ['', '1.', '.5', '1e3', '0.0000001', 'NaN', '1,5', ' 1'])
    expect(() => credits(text)).toThrow(RangeError);
});

const pick = fc.nat(50);
const outcome = fc.constantFrom(null, null, null, '1303', '1301', '1302', '1101', '1102', 'html_502', 'answer_lost');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create'), other: fc.boolean(), priority: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('dispatch') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('submit'), pick, fault: outcome }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel'), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('delete', 'retry', 'archive', 'hint'), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(2_000, 95_000, 310_000, 90_000_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('expire', 'reconcile') }) },
);
type Step = {
  readonly do: string;
  readonly other?: boolean;
  readonly priority?: number;
  readonly pick?: number;
  readonly fault?: string | null;
  readonly ms?: number;
};

async function openWorld() {
  const core = await openKlingCore(database, { slots: 2, limit: '20', sandbox: { slots: 2 } });
  await database.kysely.insertInto('workspaces').values({ id: 'ws_other', name: 'Other' }).execute();
  await ensureBudget(database.kysely, 'ws_other', 'sandbox', credits(6));
  return { ...core, ...openArchiving(core) };
}
type World = Awaited<ReturnType<typeof openWorld>>;

const rowsOf = () =>
  database.kysely
    .selectFrom('videos')
    .select(['id', 'state', 'workspace_id'])
    .orderBy('accepted_at')
    .orderBy('id')
    .execute();

async function take(world: World, move: Step): Promise<void> {
  const rows = await rowsOf();
  const chosen = rows[(move.pick ?? 0) % Math.max(rows.length, 1)];
  const quietly = (work: Promise<unknown>) => work.then(() => undefined, ignoreRefusals);
  const create = (workspaceId: string) => ({ workspaceId, idempotencyKey: null, render: () => null });
  switch (move.do) {
    case 'create':
      return quietly(
        world.videos.create(
          { prompt: 'x', priority: move.priority ?? 0 },
          create(move.other ? 'ws_other' : testWorkspace),
        ),
      );
    case 'dispatch':
      return void (await world.dispatch());
    case 'submit': {
      const open = await database.kysely
        .selectFrom('attempts')
        .select('video_id')
        .where('due_at', 'is not', null)
        .execute();
      const target = open[(move.pick ?? 0) % Math.max(open.length, 1)];
      if (!target) return;
      if (move.fault) await world.fault({ fault: move.fault, count: 1 });
      await world.submit(target.video_id);
      return world.clearFaults();
    }
    case 'look':
      await world.ended();
      return void (await world.look());
    case 'advance':
      return world.advance(move.ms ?? 0);
    case 'expire':
      return void (await expireQueued(world.context));
    case 'reconcile':
      return expect(await reconcileSlots(database)).toEqual([]);
  }
  if (!chosen) return;
  if (move.do === 'cancel') return quietly(world.videos.cancel(chosen.id, chosen.workspace_id));
  if (move.do === 'delete') return quietly(world.videos.delete(chosen.id, chosen.workspace_id));
  if (move.do === 'retry') return quietly(world.videos.retry(chosen.id, create(chosen.workspace_id)));
  const attempt = await database.kysely
    .selectFrom('attempts')
    .select('id')
    .where('video_id', '=', chosen.id)
    .executeTakeFirst();
  if (move.do === 'hint' && attempt) await hint(world.context, attempt.id);
  const file = await database.kysely
    .selectFrom('files')
    .select('id')
    .where('video_id', '=', chosen.id)
    .executeTakeFirst();
  if (move.do === 'archive' && file) await world.archive(chosen.id);
}

function ignoreRefusals(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'state_conflict' && code !== 'over_budget') throw error;
}

/** Lets everything run without faults until it has ended. */
async function drain(world: World): Promise<void> {
  for (let round = 0; round < 60; round++) {
    const rows = await rowsOf();
    const open = await database.kysely
      .selectFrom('attempts')
      .select(['video_id', 'due_at'])
      .where('holds_slot', '=', true)
      .execute();
    const files = await database.kysely.selectFrom('files').select('video_id').where('state', '=', 'pending').execute();
    if (rows.every((row) => isFinal(row.state)) && open.length === 0 && files.length === 0) return;
    await world.advance(310_000);
    await world.dispatch();
    for (const { video_id: id, due_at: due } of open) if (due) await world.submit(id);
    await world.ended();
    await world.look();
    for (const { video_id: id } of files) await world.archive(id);
  }
  throw new Error(`not everything has ended: ${JSON.stringify(await rowsOf())}`);
}

test('after any history the books are right at every step, everything ends, and nothing was bought twice', async () => {
  const histories = fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 22 }), async (history: Step[]) => {
    const world = await openWorld();
    let before = new Map<string, string>();
    for (const move of history) {
      await take(world, move);
      await world.books();
      const now = new Map((await rowsOf()).map((row) => [row.id, row.state]));
      for (const [id, state] of before) if (isFinal(state as never)) expect(now.get(id)).toBe(state);
      before = now;
    }
    await drain(world);
    await world.books();
    const stats = world.sandbox.stats();
    expect(stats.max_creates_per_external_id).toBeLessThanOrEqual(1);
    const sum = await sql<{
      captured: string;
    }>`select coalesce(sum(captured_credits), 0)::text as captured from budgets`.execute(database.kysely);
    expect(credits(sum.rows[0]?.captured ?? '0'), 'we charge what Kling took').toBe(credits(stats.units_deducted));
  });
  await fc.assert(histories, { numRuns: 12, interruptAfterTimeLimit: 14_000, markInterruptAsFailure: false });
});

test('fair shares: weights 1 : 2 : 1 get slot time in that proportion, whatever their videos cost', async () => {
  await emptyTables(database);
  const { kysely } = database;
  const family = 'sandbox/kling-2.6/video';
  const weights = { ws_a: 1, ws_b: 2, ws_c: 1 };
  const seconds = { ws_a: 30, ws_b: 45, ws_c: 120 };
  await kysely
    .insertInto('families')
    .values({ id: family, provider: 'sandbox', model: 'kling-2.6', pack_type: 'video', needs: null })
    .execute();
  for (const [id, weight] of Object.entries(weights)) {
    await kysely.insertInto('workspaces').values({ id, name: id }).execute();
    await kysely
      .insertInto('flows')
      .values({ family_id: family, workspace_id: id, weight, queued: 10_000, cap: null })
      .execute();
  }
  const served = { ws_a: 0, ws_b: 0, ws_c: 0 };
  const running: {
    readonly id: keyof typeof weights;
    readonly cost: number;
    readonly tookMs: number;
    readonly endMs: number;
  }[] = [];
  let draw = 7;
  const random = () => (draw = (draw * 48_271) % 2_147_483_647) / 2_147_483_647;
  await inTransaction(database, async ({ trx }) => {
    for (let nowMs = 0, starts = 0; starts < 500; starts++) {
      if (running.length === 4) {
        const first = running.toSorted((left, right) => left.endMs - right.endMs)[0]!;
        running.splice(running.indexOf(first), 1);
        nowMs = first.endMs;
        served[first.id] += first.tookMs / 1_000;
        await finishInFlow(trx, { familyId: family, workspaceId: first.id }, first.cost, first.tookMs);
      }
      const flow = await chooseFlow(trx, family, []);
      const id = flow!.workspaceId as keyof typeof weights;
      const cost = await startInFlow(trx, { familyId: family, workspaceId: id }, seconds[id] * 1_000, 0);
      // What a task really takes is not what was expected of it.
      const tookMs = seconds[id] * 1_000 * (0.5 + random());
      running.push({ id, cost, tookMs, endMs: nowMs + tookMs });
    }
  });
  const total = served.ws_a + served.ws_b + served.ws_c;
  for (const id of ['ws_a', 'ws_b', 'ws_c'] as const) {
    expect(served[id] / total, id).toBeGreaterThan((weights[id] / 4) * 0.95);
    expect(served[id] / total, id).toBeLessThan((weights[id] / 4) * 1.05);
  }
});
