import type { Socket } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { republishDue } from '../src/worker/sweep.ts';
import { submit } from '../src/videos/submit.ts';
import { openTestDatabase } from './support/database.ts';
import { openCoreAt, openKlingCore, type CoreAtKling } from './support/kling-core.ts';
import { ok, refuse, standardTask } from './support/raw-kling.ts';
import { startRawServer, type RawRequest } from './support/raw-server.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

const postDeadlineAndSettleMs = 90_000;

describe('a create whose answer says nothing', () => {
  test.each(['answer_lost', 'accepted_5002', 'accepted_html_502'])(
    '%s: slot and hold stay, the look-up finds the task, and nothing is bought twice',
    async (fault) => {
      const core = await openKlingCore(database);
      await core.fault({ fault, count: 1 });
      const id = await core.bring();
      expect(await core.attempt()).toMatchObject({ state: 'doubtful', holds_slot: true, sent_count: 1 });
      expect((await core.video(id)).state).toBe('submitting');
      await core.books();
      expect(await core.submit(), 'not due yet').toEqual({ result: 'done' });
      await core.advance(1_000);
      await core.submit();
      expect((await core.video(id)).state).toBe('generating');
      expect(core.sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
      await core.books();
    },
  );

  test('an answer that does not come in time is looked up too', async () => {
    const core = await openKlingCore(database, { options: { postTimeoutMs: 60 } });
    await core.fault({ fault: 'slow_headers', count: 1, delay_ms: 60_000 });
    const id = await core.bring();
    expect((await core.attempt()).state).toBe('doubtful');
    await core.advance(1_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
  });

  test.each(['5000', '5001', '5002', 'html_502', 'reset'])(
    '%s without a task: "not found" is believed only after deadline and settle delay, then the same id is sent again',
    async (fault) => {
      const core = await openKlingCore(database);
      await core.fault({ fault, count: 1 });
      const id = await core.bring();
      const first = await core.attempt();
      expect(first.state).toBe('doubtful');
      await core.advance(postDeadlineAndSettleMs - 5_000);
      expect(await core.submit()).toMatchObject({ result: 'retry' });
      expect(core.sandbox.stats().calls['create']).toBe(1);
      expect((await core.pool()).in_use).toBe(1);
      await core.books();
      await core.advance(6_000);
      await core.submit();
      expect((await core.video(id)).state).toBe('generating');
      expect(await core.attempt()).toMatchObject({
        id: first.id,
        external_task_id: first.external_task_id,
        sent_count: 2,
      });
      expect(core.sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
      await core.books();
    },
  );

  test('a look-up that is not answered is no "not found", however old the doubt', async () => {
    const core = await openKlingCore(database);
    await core.fault({ fault: 'answer_lost', count: 1 });
    await core.bring();
    for (const fault of ['5000', 'html_502', '1302', '1002', '1203']) {
      await core.fault({ fault, call: 'query', count: 10 });
      await core.fault({ fault, call: 'list', count: 10 });
      await core.advance(10 * 60_000);
      expect(await core.submit()).toMatchObject({ result: 'retry' });
      expect((await core.attempt()).state).toBe('doubtful');
      await core.clearFaults();
    }
    await core.advance(10 * 60_000);
    await core.submit();
    expect((await core.attempt()).state).toBe('accepted');
    expect(core.sandbox.stats().calls['create']).toBe(1);
    await core.books();
  });

  test('KLING_AFTER_DOUBT=hold never sends again and keeps slot and hold', async () => {
    const core = await openKlingCore(database, { options: { afterDoubt: 'hold' } });
    await core.fault({ fault: 'html_502', count: 1 });
    await core.bring();
    for (let hour = 0; hour < 3; hour++) {
      await core.advance(3_600_000);
      expect(await core.submit()).toMatchObject({ result: 'retry' });
    }
    expect(core.sandbox.stats().calls['create']).toBe(1);
    expect(await core.attempt()).toMatchObject({ state: 'doubtful', holds_slot: true });
    await core.books();
  });
});

describe('a task that Kling shows late', () => {
  test('is not bought again: the repeat is told that it exists, and from then on it is only looked up', async () => {
    const core = await openKlingCore(database, { sandbox: { visibilityLagMs: 600_000 } });
    await core.fault({ fault: 'answer_lost', count: 1 });
    await core.bring();
    await core.advance(postDeadlineAndSettleMs + 1_000);
    expect(await core.submit()).toMatchObject({ result: 'retry' });
    expect(await core.attempt()).toMatchObject({ state: 'doubtful', known_to_exist: true, sent_count: 2 });
    for (let hour = 0; hour < 3; hour++) {
      await core.advance(3_600_000);
      expect(await core.submit()).toMatchObject({ result: 'retry' });
    }
    expect(core.sandbox.stats()).toMatchObject({ creates_accepted: 1, calls: { create: 2 } });
    await core.books();
  });

  test('is adopted by its repeat where Kling returns the first task', async () => {
    const sandbox = { visibilityLagMs: 600_000, repeatedExternalId: 'return-first' as const };
    const core = await openKlingCore(database, { sandbox });
    await core.fault({ fault: 'answer_lost', count: 1 });
    const id = await core.bring();
    await core.advance(postDeadlineAndSettleMs + 1_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
  });

  test('is found within the settle delay where Kling would create a second one', async () => {
    const core = await openKlingCore(database, { sandbox: { repeatedExternalId: 'create-second' } });
    await core.fault({ fault: 'answer_lost', count: 1 });
    const id = await core.bring();
    await core.advance(postDeadlineAndSettleMs + 1_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
  });
});

describe('a repeat that is refused after a doubtful create', () => {
  test.each([
    ['1303', 429],
    ['1301', 400],
    ['1101', 429],
  ])('%s is followed by a look-up, which may still find the task', async (code, status) => {
    let shown = false;
    const { core, posts } = await openScripted((request, index) => {
      if (request.method === 'GET')
        return shown ? ok([standardTask('900000000000000001', externalIdOf(request))]) : ok([]);
      if (index === 0) return null;
      shown = true;
      return refuse(status, Number(code), 'no');
    });
    const id = await core.bring();
    await core.advance(postDeadlineAndSettleMs + 1_000);
    expect(await core.submit()).toMatchObject({ result: 'retry' });
    expect(posts()).toBe(2);
    expect((await core.video(id)).state).toBe('submitting');
    await core.books();
    await core.advance(2_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(posts()).toBe(2);
    await core.books();
  });

  test('is a refusal once that look-up has found nothing', async () => {
    const { core, posts } = await openScripted((request, index) => {
      if (request.method === 'GET') return ok([]);
      return index === 0 ? null : refuse(400, 1301, 'content');
    });
    const id = await core.bring();
    await core.advance(postDeadlineAndSettleMs + 1_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('submitting');
    await core.advance(2_000);
    expect(await core.submit()).toEqual({ result: 'done' });
    expect(await core.video(id)).toMatchObject({
      state: 'failed',
      error: { code: 'content_policy', provider_code: 1301 },
    });
    expect(posts()).toBe(2);
    await core.books();
  });
});

describe('workers that die or sleep', () => {
  test('the send mark is committed before the bytes leave', async () => {
    const marks: number[] = [];
    const { core } = await openScripted(async (request) => {
      if (request.method === 'GET') return ok([]);
      marks.push((await core.attempt()).sent_count);
      return ok({ id: '900000000000000002', status: 'submitted' });
    });
    await core.bring();
    expect(marks).toEqual([1]);
  });

  test('a worker that is stopped during its POST leaves a doubt, and the next claim looks before it sends', async () => {
    const stopping = new AbortController();
    const { core, requests } = await openScripted((request) => {
      if (request.method === 'GET') return ok([standardTask('900000000000000003', externalIdOf(request))]);
      stopping.abort();
      return 'nothing';
    });
    const id = await core.start();
    await submit(core.context, core.deps, (await core.attempt()).id, stopping.signal);
    expect((await core.attempt()).state).toBe('doubtful');
    await core.advance(2_000);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(requests().map((request) => request.method)).toEqual(['POST', 'GET']);
  });

  test('a worker that dies between send mark and answer: the sweeper hands the attempt on, and it is looked up first', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    // What a killed process leaves behind.
    await database.kysely
      .updateTable('attempts')
      .set({
        state: 'sent',
        sent_count: 1,
        sent_at: sql<Date>`dailies_now()`,
        lease_token: 1,
        lease_until: sql<Date>`dailies_now() + interval '1 minute'`,
      })
      .execute();
    await core.advance(59_000);
    expect(await republishDue(database.kysely, core.context.queue, 0)).toBe(0);
    await core.advance(2_000);
    expect(await republishDue(database.kysely, core.context.queue, 0)).toBe(1);
    expect(await core.submit()).toMatchObject({ result: 'retry' });
    expect(core.sandbox.stats().calls['create']).toBeUndefined();
    expect((await core.attempt()).state).toBe('doubtful');
    await core.advance(postDeadlineAndSettleMs);
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
  });

  test('a worker whose lease was taken over does not POST and changes nothing', async () => {
    const core = await openKlingCore(database);
    await core.start();
    const { id } = await core.attempt();
    // Another worker claims after this one has claimed and before it writes its send mark.
    const taken = () =>
      database.kysely
        .updateTable('attempts')
        .set({ lease_token: sql`lease_token + 1` })
        .execute();
    const kling = {
      ...core.kling,
      getTasks: async (...asked: Parameters<typeof core.kling.getTasks>) => {
        await taken();
        return core.kling.getTasks(...asked);
      },
    };
    await database.kysely.updateTable('attempts').set({ look_first: true }).execute();
    expect(await submit(core.context, { ...core.deps, kling }, id, new AbortController().signal)).toEqual({
      result: 'done',
    });
    expect(core.sandbox.stats().calls['create']).toBeUndefined();
    expect(await core.attempt()).toMatchObject({ state: 'intended', sent_count: 0 });
  });

  test('a worker that slept through its lease on its own clock does not POST', async () => {
    const core = await openKlingCore(database);
    await core.start();
    let now = 0;
    const sleepy = { ...core.deps, monotonicMs: () => (now += 59_000) };
    await submit(core.context, sleepy, (await core.attempt()).id, new AbortController().signal);
    expect(core.sandbox.stats().calls).toEqual({});
    expect(await core.attempt()).toMatchObject({ sent_count: 1, refused_count: 1, holds_slot: true });
  });

  test('a late answer of a worker that was taken over is left to the look-up of the next', async () => {
    const { core, posts } = await openScripted(async (request) => {
      if (request.method === 'GET') return ok([standardTask('900000000000000004', externalIdOf(request))]);
      await database.kysely
        .updateTable('attempts')
        .set({ lease_token: sql`lease_token + 1`, lease_until: null })
        .execute();
      return ok({ id: '900000000000000004', status: 'submitted' });
    });
    const id = await core.bring();
    expect((await core.video(id)).state).toBe('submitting');
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(posts()).toBe(1);
  });

  test('after an unclean start a task whose send mark was lost is found, not bought, and looked at', async () => {
    const core = await openKlingCore(database);
    const id = await core.start();
    const attempt = await core.attempt();
    const call = { accountId: 'main', host: core.sandbox.url, generation: attempt.generation, path: attempt.path };
    const options = { signal: new AbortController().signal, timeoutMs: 5_000 };
    await core.kling.createTask({ ...call, body: attempt.body }, options);
    await database.kysely.updateTable('attempts').set({ look_first: true }).execute();
    await core.submit();
    expect((await core.video(id)).state).toBe('generating');
    expect(core.sandbox.stats().creates_accepted).toBe(1);
    expect((await core.attempt()).look_at).not.toBeNull();
    await core.books();
  });
});

/** An answer, or `nothing`; null cuts the connection. */
type Script = (request: RawRequest, index: number) => string | null | Promise<string | null>;

/** A Kling that answers as told; `nothing` leaves the connection open. */
async function openScripted(script: Script) {
  const server = await startRawServer((request: RawRequest, socket: Socket, index: number) => {
    void Promise.resolve(script(request, index)).then((answer) => {
      if (answer === null) socket.destroy();
      else if (answer !== 'nothing') socket.write(answer);
    });
  });
  onTestFinished(() => server.close());
  const core: CoreAtKling = await openCoreAt(database, server.origin);
  return {
    core,
    requests: () => server.requests,
    posts: () => server.requests.filter((request) => request.method === 'POST').length,
  };
}

/** What a look-up of the new standard asks for. */
function externalIdOf(request: RawRequest): string {
  const asked = new URL(request.path, 'http://kling').searchParams;
  return asked.get('external_task_ids') ?? '';
}
