import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import type { Message } from '../src/queue/queue.ts';
import type { VideosContext } from '../src/videos/context.ts';
import { recordGivenUp } from '../src/videos/dead-letters.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { listWaitingFamilies } from '../src/scheduling/slots.ts';
import { listDueAccounts, lookAtAccount } from '../src/videos/look.ts';
import { republishDue } from '../src/worker/sweep.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore } from './support/kling-core.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const letters = () => database.kysely.selectFrom('dead_letters').selectAll().execute();

/** The context with an engine that keeps what it is given, without the transaction. */
function withListeningQueue(context: VideosContext): { context: VideosContext; published: Message[] } {
  const published: Message[] = [];
  const queue = { ...context.queue, publish: async (messages: readonly Message[]) => void published.push(...messages) };
  return { context: { ...context, queue }, published };
}

describe('a message that the engine gave up', () => {
  test('leaves a dead letter that names the engine, and its video goes on', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    const { id: attemptId } = await core.attempt();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
    expect(await letters()).toMatchObject([{ kind: 'submit', id: attemptId, crashes: 0 }]);
    expect((await letters())[0]?.reason).toContain('(sqs)');
    expect((await letters())[0]?.dead_at).not.toBeNull();
    expect((await core.video(id)).state).toBe('submitting');
    expect(await republishDue(database.kysely, core.context.queue, 0), 'published again').toBe(1);
    await core.submit(id);
    expect((await core.video(id)).state).toBe('generating');
    await core.books();
  });

  test('leaves nothing when its row is not due any more, or when it has none', async () => {
    const core = await openKlingCore(database);
    await core.bring();
    const { id: attemptId } = await core.attempt();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'sqs');
    await recordGivenUp(core.context, { kind: 'look', id: attemptId }, 'sqs');
    await recordGivenUp(core.context, { kind: 'archive', id: 'fil_never' }, 'sqs');
    expect(await letters()).toEqual([]);
    await core.books();
  });

  test('keeps the count of crashes', async () => {
    const core = await openKlingCore(database);
    await core.start();
    const { id: attemptId } = await core.attempt();
    await database.kysely
      .insertInto('dead_letters')
      .values({
        kind: 'submit',
        id: attemptId,
        crashes: 3,
        reason: 'a bug',
        dead_at: null,
        updated_at: new Date(),
      })
      .execute();
    await recordGivenUp(core.context, { kind: 'submit', id: attemptId }, 'pubsub');
    expect(await letters()).toMatchObject([{ crashes: 3 }]);
  });
});

test('every message says whose work it is: from dispatch, from settling and from the sweeper', async () => {
  const core = await openKlingCore(database);
  await core.create();
  const dispatching = withListeningQueue(core.context);
  for (const family of await listWaitingFamilies(database.kysely)) await dispatchFamily(dispatching.context, family);
  const { id: attemptId } = await core.attempt();
  expect(dispatching.published).toEqual([{ kind: 'submit', id: attemptId, workspaceId: testWorkspace }]);

  const sweeping = withListeningQueue(core.context);
  await republishDue(database.kysely, sweeping.context.queue, 0);
  expect(sweeping.published).toEqual([{ kind: 'submit', id: attemptId, workspaceId: testWorkspace }]);

  const settling = withListeningQueue(core.context);
  await core.submit();
  await core.ended();
  await core.advance(600_000);
  for (const account of await listDueAccounts(settling.context)) {
    await lookAtAccount(settling.context, core.kling, account, new AbortController().signal);
  }
  const { id: fileId } = await database.kysely.selectFrom('files').select('id').executeTakeFirstOrThrow();
  expect(settling.published).toEqual([{ kind: 'archive', id: fileId, workspaceId: testWorkspace }]);
});
