import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import type { TaskReport } from '../src/kling/kling-api.ts';
import { settle } from '../src/videos/settle.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore, type KlingCoreSettings } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const day = 24 * 3_600_000;

/** A video that Kling has; `report` is what Kling would answer about it. */
async function openRunning(settings: KlingCoreSettings = {}) {
  const core = await openKlingCore(database, { sandbox: { taskMs: 3_600_000 }, ...settings });
  const id = await core.bring();
  const attempt = await core.attempt();
  const report = (changes: Partial<TaskReport> = {}): TaskReport => ({
    taskId: attempt.task_id!,
    externalTaskId: attempt.external_task_id,
    status: 'succeeded',
    statusWord: 'succeeded',
    message: '',
    createdAtMs: 1,
    updatedAtMs: 30_001,
    video: { id: '1', url: 'https://p1.kling.example/v.mp4?secret', duration: '5.041', expiresAtMs: null },
    deductedUnits: '1.5',
    ...changes,
  });
  const settleWith = async (changes: Partial<TaskReport> = {}) =>
    settle(core.context, await core.attempt(id), report(changes));
  return { core, id, attempt, settleWith };
}

describe('money', () => {
  test.each([
    ['the hold', '1.5', 1_500_000n, false],
    ['more than the hold', '2.25', 2_250_000n, false],
    ['less than the hold', '0.75', 750_000n, false],
    ['nothing', '0', 0n, false],
    ['the hold, assumed, when Kling does not say', null, 1_500_000n, true],
  ])('a success captures what Kling says: %s', async (_what, deductedUnits, captured, assumed) => {
    const { core, id, settleWith } = await openRunning({ limit: '1.5' });
    expect(await settleWith({ deductedUnits })).toBe('ended');
    await core.books();
    const receipt = await core.receipt(id);
    expect(receipt).toMatchObject({ held: 0n, captured, released: 0n });
    expect(receipt.entries.at(-1)).toMatchObject({ kind: 'capture', reason: 'generated', assumed });
    expect(await core.video(id)).toMatchObject({ state: 'archiving', chargedCredits: captured });
    const events = await core.videos.listEvents(id, testWorkspace, 0);
    const charged = events.find((event) => event.type === 'video.charged');
    expect(charged?.data['over_estimate']).toBe(deductedUnits === '2.25' ? true : undefined);
    const { available } = await core.budgets.get(testWorkspace);
    expect(available).toBe(1_500_000n - captured);
  });

  test('a failure gives the whole hold back, with Kling’s reason', async () => {
    const { core, id, settleWith } = await openRunning();
    const message = 'Failure to pass the risk control system';
    await settleWith({ status: 'failed', statusWord: 'failed', message, video: null, deductedUnits: null });
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      chargedCredits: 0n,
      error: { code: 'content_policy' },
    });
    expect(await core.receipt(id)).toMatchObject({ held: 0n, captured: 0n, released: 1_500_000n });
    expect((await core.pool()).in_use).toBe(0);
    await core.books();
  });

  test('a failure that Kling charges all the same is captured', async () => {
    const { core, id, settleWith } = await openRunning();
    await settleWith({ status: 'failed', statusWord: 'failed', message: 'x', video: null, deductedUnits: '0.5' });
    expect(await core.video(id)).toMatchObject({ state: 'failed', chargedCredits: 500_000n });
    expect((await core.receipt(id)).entries.at(-1)).toMatchObject({ kind: 'capture', reason: 'charged_failure' });
    await core.books();
  });
});

describe('once', () => {
  test('a second settle does nothing: slot, flow, money and file move once', async () => {
    const { core, id, settleWith } = await openRunning();
    await core.create();
    expect(await settleWith()).toBe('ended');
    expect(core.asked.length).toBeGreaterThan(1);
    const before = await core.videos.listEvents(id, testWorkspace, 0);
    expect(await settleWith()).toBe('stale');
    expect(await settleWith({ status: 'failed', statusWord: 'failed', video: null })).toBe('stale');
    expect(await core.videos.listEvents(id, testWorkspace, 0)).toEqual(before);
    const files = await database.kysely.selectFrom('files').selectAll().execute();
    expect(files).toHaveLength(1);
    expect(await core.flow()).toMatchObject({ in_flight: 0, queued: 1 });
    await core.books();
  });

  test('running and unknown words move nothing', async () => {
    const { core, id, settleWith } = await openRunning();
    expect(await settleWith({ status: 'processing', statusWord: 'processing', video: null })).toBe('running');
    expect(await settleWith({ status: 'unknown', statusWord: 'suspended', video: null })).toBe('strange');
    expect(await settleWith({ video: null })).toBe('strange');
    expect((await core.video(id)).state).toBe('generating');
    await core.books();
  });
});

describe('canceled, lost and deleted videos', () => {
  test('the success of a canceled video is charged with that reason, and its file is kept', async () => {
    const { core, id, settleWith } = await openRunning();
    const canceled = await core.videos.cancel(id, testWorkspace);
    expect(canceled).toMatchObject({ state: 'canceled', chargedCredits: null });
    await core.books();
    expect(await settleWith()).toBe('ended');
    expect(await core.video(id)).toMatchObject({
      state: 'canceled',
      chargedCredits: 1_500_000n,
      file: { state: 'pending' },
    });
    expect((await core.receipt(id)).entries.at(-1)).toMatchObject({ reason: 'charged_after_cancel' });
    await core.books();
  });

  test('the failure of a canceled video is free, and it stays canceled', async () => {
    const { core, id, settleWith } = await openRunning();
    await core.videos.cancel(id, testWorkspace);
    await settleWith({ status: 'failed', statusWord: 'failed', message: 'x', video: null, deductedUnits: null });
    expect(await core.video(id)).toMatchObject({ state: 'canceled', chargedCredits: 0n, error: null });
    await core.books();
  });

  test('a success after the task was given up is captured as late, and archived', async () => {
    const { core, id, settleWith } = await openRunning({ limit: '1.5' });
    await core.advance(day + 1_000);
    await core.look();
    expect((await core.video(id)).error?.code).toBe('provider_lost');
    await core.books();
    const other = await core.start();
    expect(await settleWith()).toBe('ended');
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      chargedCredits: 1_500_000n,
      file: { state: 'pending' },
    });
    expect((await core.receipt(id)).entries.at(-1)).toMatchObject({ kind: 'capture', reason: 'late_success' });
    expect((await core.budgets.get(testWorkspace)).available, 'beyond the limit').toBe(-1_500_000n);
    expect((await core.video(other)).state).toBe('submitting');
    expect((await core.pool()).in_use, 'its own slot was free before').toBe(1);
    await core.books();
    expect(await settleWith()).toBe('stale');
    await core.books();
  });

  test('a late success of a deleted video is charged, and no file comes back', async () => {
    const { core, id, settleWith } = await openRunning();
    await core.advance(day + 1_000);
    await core.look();
    await core.videos.delete(id, testWorkspace);
    expect(await settleWith()).toBe('ended');
    expect(await core.video(id)).toMatchObject({ chargedCredits: 1_500_000n, file: null });
    await core.books();
  });
});

describe('what the poller does with it', () => {
  test('an unknown status word is looked at again and ends normally', async () => {
    const core = await openKlingCore(database, { sandbox: { taskMs: 40 } });
    await core.fault({ fault: 'unknown_status', count: 1 });
    const id = await core.bring();
    const words = new Set<string | null>();
    for (let round = 0; round < 400 && (await core.video(id)).state === 'generating'; round++) {
      await core.advance(400_000);
      await core.look();
      words.add((await core.attempt()).provider_status);
      await core.books();
    }
    expect((await core.video(id)).state).toBe('archiving');
    expect(words).toContain('suspended');
  });

  test('a success without a file is asked for again, then charged and failed', async () => {
    const { core, id } = await openRunning();
    const attempt = await core.attempt();
    const report = {
      ...(await reportOf(core, attempt)),
      status: 'succeeded',
      statusWord: 'succeeded',
      video: null,
    } as const;
    const kling = { ...core.kling, getTasks: async () => [{ kind: 'found', report }] as const };
    const { lookAtAccount } = await import('../src/videos/look.ts');
    const look = () => lookAtAccount(core.context, kling, 'main', new AbortController().signal);
    await core.advance(3_600_000);
    expect(await look()).toBe(1);
    expect((await core.video(id)).state).toBe('generating');
    expect(await look(), 'with a wait').toBe(0);
    await core.advance(day);
    await look();
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      chargedCredits: 1_500_000n,
      error: { code: 'file_unusable' },
    });
    expect((await core.pool()).in_use).toBe(0);
    await core.books();
  });

  test('from create to archiving, the books are right after every step', async () => {
    const core = await openKlingCore(database, { limit: '10' });
    const id = await core.create();
    await core.books();
    await core.dispatch();
    await core.books();
    await core.submit();
    await core.books();
    await core.ended();
    await core.advance(600_000);
    await core.look();
    await core.books();
    expect(await core.video(id)).toMatchObject({ state: 'archiving', chargedCredits: 1_500_000n });
    expect(core.sandbox.stats().units_deducted).toBe('1.5');
  });
});

/** What Kling really says about a task now. */
async function reportOf(
  core: Awaited<ReturnType<typeof openKlingCore>>,
  attempt: Awaited<ReturnType<typeof core.attempt>>,
): Promise<TaskReport> {
  const reference = {
    accountId: attempt.account_id,
    host: attempt.host,
    generation: attempt.generation,
    path: attempt.path,
    externalTaskId: attempt.external_task_id,
    taskId: attempt.task_id,
  };
  const [answer] = await core.kling.getTasks([reference], { signal: new AbortController().signal, timeoutMs: 5_000 });
  if (answer?.kind !== 'found') throw new Error('the sandbox lost the task');
  return { ...answer.report, status: 'succeeded', deductedUnits: '1.5' };
}
