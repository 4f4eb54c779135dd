import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Database } from '../src/db/database.ts';
import type { Tables } from '../src/db/tables.ts';
import { inTransaction } from '../src/db/transaction.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { HandlerResult, MessageKind } from '../src/queue/queue.ts';
import { claimAttempt } from '../src/videos/attempt.ts';
import { recordCrash, recordDeadLetter, recordGivenUp } from '../src/videos/dead-letters.ts';
import { createDeadLetters, type DeadLetter } from '../src/videos/replay.ts';
import { startWorker } from '../src/worker/worker.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openPostgresTestDatabase, openTestDatabase } from './support/database.ts';
import { reachablePostgres } from '../../../test/servers/postgres.ts';
import { openKlingCore, type KlingCoreSettings } from './support/kling-core.ts';

const day = 24 * 3_600_000;
const postgres = await reachablePostgres();
let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function open(settings: KlingCoreSettings = {}, on: Database = database) {
  const core = await openKlingCore(on, settings);
  const logged: string[] = [];
  const deadLetters = createDeadLetters({ ...core.context, log: (_level, message) => void logged.push(message) });
  return {
    ...core,
    ...openArchiving(core),
    logged,
    deadLetters,
    async only(): Promise<DeadLetter> {
      const { deadLetters: found } = await deadLetters.list({ limit: 100, cursor: null }, testWorkspace);
      expect(found).toHaveLength(1);
      return found[0]!;
    },
    none: async () =>
      expect((await deadLetters.list({ limit: 100, cursor: null }, testWorkspace)).deadLetters).toEqual([]),
    replay: (kind: MessageKind, id: string) => deadLetters.replay(kind, id, testWorkspace),
  };
}

/** What the worker does with a message that its handler gave up. */
async function asWorker(core: Awaited<ReturnType<typeof open>>, kind: MessageKind, id: string, result: HandlerResult) {
  expect(result).toMatchObject({ result: 'fail' });
  if (result.result === 'fail') await recordDeadLetter(core.context, { kind, id }, result.reason);
}

const queued = async () =>
  (await database.kysely.selectFrom('attempts').select(['id', 'published_at', 'due_at']).execute()).filter(
    ({ published_at: at }) => at !== null,
  );

describe('a submit', () => {
  test('that the engine gave up goes on by a replay, once, and its letter is over', async () => {
    const core = await open();
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    await database.kysely.updateTable('attempts').set({ published_at: null }).execute();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
    expect(await core.only()).toMatchObject({ kind: 'submit', id: attemptId, videoId: id, videoState: 'submitting' });
    expect(await core.replay('submit', attemptId)).toMatchObject({ id: attemptId, replayable: true });
    expect(await queued(), 'published with the replay').toHaveLength(1);
    expect(core.logged).toEqual(['A dead letter was replayed']);
    await core.none();
    await expect(core.replay('submit', attemptId)).rejects.toMatchObject({ code: 'not_found' });
    await core.submit(id);
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
    await core.books();
  });

  test('that may have been bought is looked up by a replay, never sent again', async () => {
    const core = await open();
    await core.fault({ fault: 'answer_lost', count: 1 });
    const id = await core.bring();
    const { id: attemptId, state } = await core.attempt();
    expect(state).toBe('doubtful');
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'pubsub');
    await database.kysely
      .updateTable('attempts')
      .set({ due_at: new Date(Date.now() + day) })
      .execute();
    await core.replay('submit', attemptId);
    await core.submit(id);
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().calls['create']).toBe(1);
    await core.books();
  });

  test('whose video has ended unbought cannot be replayed: the answer names the retry, the letter the cause', async () => {
    const core = await open();
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    for (let crash = 0; crash < 5; crash++) {
      await core.advance(600_000);
      await recordCrash(core.context, { kind: 'submit', id: attemptId }, new Error('the disk is full'));
    }
    const letter = await core.only();
    expect(letter).toMatchObject({ replayable: false, crashes: 5, videoState: 'failed' });
    expect(letter.reason).toContain('the disk is full');
    await expect(core.replay('submit', attemptId)).rejects.toMatchObject({
      code: 'dead_letter_conflict',
      message: expect.stringContaining(`POST /api/videos/${id}/retry`) as string,
    });
    expect((await core.attempt()).due_at).toBeNull();
    await core.deadLetters.dismiss('submit', attemptId, testWorkspace);
    await core.none();
    await core.books();
  });

  test('that a worker holds is left to it, and can be replayed when the lease has ended', async () => {
    const core = await open();
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
    const held = await claimAttempt(database.kysely, attemptId, 60_000);
    await expect(core.replay('submit', attemptId)).rejects.toMatchObject({ code: 'dead_letter_conflict' });
    expect(await core.attempt()).toMatchObject({ lease_token: held!.lease_token, lease_until: held!.lease_until });
    await core.advance(60_001);
    await core.replay('submit', attemptId);
    await core.submit(id);
    expect((await core.video(id)).state).toBe('generating');
  });

  test('that Kling has by now needs no replay', async () => {
    const core = await open();
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
    await core.submit(id);
    expect(await core.only()).toMatchObject({ replayable: false, videoState: 'generating' });
    await expect(core.replay('submit', attemptId)).rejects.toMatchObject({ code: 'dead_letter_conflict' });
    expect(await core.attempt()).toMatchObject({ state: 'accepted', due_at: null });
  });

  test('that is replayed twice at once is replayed once', async () => {
    const core = await open({ slots: 10 });
    for (let round = 0; round < 10; round++) {
      await core.start();
      const { id: attemptId } = await core.attempt();
      await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
      const results = await Promise.allSettled(Array.from({ length: 4 }, () => core.replay('submit', attemptId)));
      const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
      expect(refused.map(({ reason }: { reason: { code: string } }) => reason.code)).toEqual(
        Array.from({ length: 3 }, () => 'not_found'),
      );
    }
  });
});

describe('a paid file', () => {
  test('that waits for its next copy is copied at once by a replay', async () => {
    const core = await open();
    const id = await core.succeed();
    const inTheWay = join(core.filesDirectory, testWorkspace);
    await writeFile(inTheWay, '');
    expect(await core.archive(id)).toMatchObject({ result: 'retry' });
    const { id: fileId } = await core.file(id);
    await recordGivenUp(core.context, { kind: 'archive', id: fileId }, 'redis');
    await rm(inTheWay);
    expect(await core.archive(id), 'its time has not come').toEqual({ result: 'done' });
    expect((await core.video(id)).state).toBe('archiving');
    await core.replay('archive', fileId);
    expect(await core.archive(id)).toEqual({ result: 'done' });
    expect((await core.video(id)).state).toBe('completed');
    await core.none();
    await core.books();
  });

  test('that was given up is asked for once more; what Kling still has is stored, and nothing is charged for it', async () => {
    const core = await open({ sandbox: { urlLifetimeMs: 3_600_000 } });
    const id = await core.succeed();
    const inTheWay = join(core.filesDirectory, testWorkspace);
    await writeFile(inTheWay, '');
    await core.advance(31 * day);
    const { id: fileId } = await core.file(id);
    await asWorker(core, 'archive', fileId, await core.archive(id));
    expect(await core.file(id)).toMatchObject({ state: 'lost', source_url: null });
    expect(await core.only()).toMatchObject({ kind: 'archive', videoState: 'failed', replayable: true });
    const before = core.sandbox.stats();
    const charged = (await core.video(id)).chargedCredits;

    await core.replay('archive', fileId);
    await asWorker(core, 'archive', fileId, await until(core, id)); // the storage is still in the way
    expect((await core.file(id)).state).toBe('lost');

    await rm(inTheWay);
    await core.replay('archive', fileId);
    expect(await until(core, id)).toEqual({ result: 'done' });
    const video = await core.video(id);
    expect(video).toMatchObject({ state: 'failed', chargedCredits: charged, file: { state: 'stored' } });
    const types = (await core.videos.listEvents(id, testWorkspace, 0)).map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['video.file_lost', 'video.file_stored']);
    expect(types.filter((type) => type === 'video.charged')).toHaveLength(1);
    expect(core.sandbox.stats()).toMatchObject({
      creates_accepted: before.creates_accepted,
      units_deducted: before.units_deducted,
    });
    await core.none();
    await core.books();
  });

  test('that Kling has no more is a dead letter again, and one whose video was deleted cannot be replayed', async () => {
    const core = await open();
    const id = await core.succeed();
    await writeFile(join(core.filesDirectory, testWorkspace), '');
    await core.advance(31 * day);
    const { id: fileId } = await core.file(id);
    await asWorker(core, 'archive', fileId, await core.archive(id));
    await core.replay('archive', fileId);
    await database.kysely.updateTable('attempts').set({ external_task_id: 'never', task_id: 'never' }).execute();
    await asWorker(core, 'archive', fileId, await core.archive(id));
    expect(await core.file(id)).toMatchObject({ state: 'lost', last_error: 'Kling gives out no link to it any more.' });
    await rm(join(core.filesDirectory, testWorkspace));
    await core.videos.delete(id, testWorkspace);
    expect(await core.only()).toMatchObject({ replayable: false });
    await expect(core.replay('archive', fileId)).rejects.toMatchObject({ code: 'dead_letter_conflict' });
    expect((await core.file(id)).state).toBe('deleted');
  });

  test('whose handler is stopped while it asks for the link is not given up', async () => {
    const core = await open();
    const id = await core.succeed();
    await database.kysely.updateTable('files').set({ state: 'lost', source_url: null, due_at: null }).execute();
    const { id: fileId } = await core.file(id);
    await recordDeadLetter(core.context, { kind: 'archive', id: fileId }, 'lost');
    await core.advance(31 * day);
    await core.replay('archive', fileId);
    expect(await core.archive(id, AbortSignal.abort())).toMatchObject({ result: 'retry', afterMs: 0 });
    expect((await core.file(id)).state).toBe('pending');
    expect(await until(core, id)).toEqual({ result: 'done' });
  });

  /** Until its handler has nothing more to do at once. */
  async function until(core: Awaited<ReturnType<typeof open>>, id: string): Promise<HandlerResult> {
    for (let round = 0; ; round++) {
      const result = await core.archive(id);
      if (result.result !== 'retry' || result.afterMs > 0 || round > 5) return result;
    }
  }
});

test('replays under a live worker end every video and buy each once', async () => {
  const core = await open({ slots: 4, sandbox: { slots: 4, taskMs: 20 }, options: { pollFloorMs: 20 } });
  const ids = await Promise.all(Array.from({ length: 4 }, () => core.create()));
  await core.dispatch();
  const attempts = await database.kysely.selectFrom('attempts').select('id').execute();
  for (const { id } of attempts) await recordGivenUp(core.context, { kind: 'submit', id }, 'sqs');
  const nothing = () => Promise.reject(new Error('nothing is copied here'));
  const worker = await startWorker(
    core.context,
    {
      kling: core.kling,
      queue: core.context.queue,
      accountIds: ['main'],
      monotonicMs: systemClock.monotonicMs,
      copy: nothing,
      isGone: () => false,
      orderPoster: () => {},
      notify: () => Promise.resolve({ result: 'done' }),
    },
    {
      concurrency: { submit: 4, look: 1, archive: 1, notify: 1 },
      sweepIntervalMs: 50,
      dispatchIntervalMs: 60_000,
      republishAfterMs: 50,
      pollIntervalMs: 50,
    },
  );
  try {
    const bought = async () =>
      (await Promise.all(ids.map((id) => core.video(id)))).every(({ state }) => state === 'archiving');
    await vi.waitUntil(
      async () => {
        await Promise.allSettled(attempts.flatMap(({ id }) => [core.replay('submit', id), core.replay('submit', id)]));
        for (const { id } of attempts) await recordDeadLetter(core.context, { kind: 'submit', id }, 'again');
        return bought();
      },
      { timeout: 60_000, interval: 5 },
    );
    expect(core.sandbox.stats().calls['create']).toBe(4);
    await core.books();
  } finally {
    await worker.stop(5_000);
  }
});

describe.skipIf(postgres === null)('at the same moment (needs several connections: skipped without PostgreSQL)', () => {
  let concurrent: Database;
  beforeAll(async () => {
    concurrent = await openPostgresTestDatabase(postgres ?? '');
  });
  afterAll(() => concurrent.close());

  /** Runs `first` in a transaction that commits only once `second` waits for one of its locks. */
  async function during(first: (trx: Kysely<Tables>) => Promise<unknown>, second: () => Promise<unknown>) {
    const opened = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const other = inTransaction(concurrent, async ({ trx }) => {
      await first(trx);
      opened.resolve();
      await release.promise;
    });
    await opened.promise;
    const outcome = second().then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
    const waiting = sql<{ found: boolean }>`select exists (select from pg_locks join pg_stat_activity using (pid)
      where not granted and datname = current_database()) as found`;
    try {
      await vi.waitUntil(async () => (await waiting.execute(concurrent.kysely)).rows[0]?.found === true, {
        timeout: 60_000,
        interval: 5,
      });
    } finally {
      release.resolve();
      await other;
    }
    return outcome;
  }

  test('a replay sees what a worker that was faster has made of the attempt', async () => {
    const core = await open({}, concurrent);
    await core.start();
    const { id } = await core.attempt();
    await recordGivenUp(core.context, { kind: 'submit', id }, 'sqs');
    const accept = { state: 'accepted', due_at: null } as const;
    const outcome = await during(
      (trx) => trx.updateTable('attempts').set(accept).where('id', '=', id).execute(),
      () => core.replay('submit', id),
    );
    expect(outcome).toBe('dead_letter_conflict');
    expect(await core.attempt()).toMatchObject(accept);
    expect(await core.only(), 'it is still there').toMatchObject({ replayable: false });
  });

  test('a replay sees that its video is being deleted, because it locks the video first', async () => {
    const core = await open({}, concurrent);
    const id = await core.succeed();
    const { id: fileId } = await core.file(id);
    await concurrent.kysely.updateTable('files').set({ state: 'lost', source_url: null, due_at: null }).execute();
    await recordDeadLetter(core.context, { kind: 'archive', id: fileId }, 'lost');
    const outcome = await during(
      (trx) => trx.updateTable('videos').set({ deleted_at: new Date() }).where('id', '=', id).execute(),
      () => core.replay('archive', fileId),
    );
    expect(outcome).toBe('dead_letter_conflict');
    expect(await core.file(id)).toMatchObject({ state: 'lost', due_at: null });
  });
});
