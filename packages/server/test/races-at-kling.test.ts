import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { credits } from '../src/kernel/money.ts';
import { hint, lookAtAccount } from '../src/videos/look.ts';
import { submit } from '../src/videos/submit.ts';
import { testWorkspace } from './support/core.ts';
import { openPostgresTestDatabase } from './support/database.ts';
import { reachablePostgres } from '../../../test/servers/postgres.ts';
import { openKlingCore } from './support/kling-core.ts';

const url = await reachablePostgres();
const never = new AbortController().signal;

describe.skipIf(url === null)(
  'races before a Kling (need several connections: skipped without a PostgreSQL server)',
  () => {
    let database: Database;
    beforeAll(async () => {
      database = await openPostgresTestDatabase(url ?? '');
    });
    afterAll(() => database.close());

    test('cancel against send: what was sent is charged, what was not is free and never sent', async () => {
      const core = await openKlingCore(database, { slots: 2, sandbox: { slots: 2 } });
      let charged = 0;
      for (let round = 0; round < 20; round++) {
        const id = await core.start();
        await Promise.all([core.submit(id), core.videos.cancel(id, testWorkspace)]);
        await core.books();
        await core.ended();
        await core.advance(600_000);
        await core.look();
        const video = await core.video(id);
        expect(video.state).toBe('canceled');
        expect(video.chargedCredits).not.toBeNull();
        if (video.chargedCredits) charged++;
        await core.books();
      }
      const stats = core.sandbox.stats();
      expect(stats.creates_accepted).toBe(charged);
      expect((await core.budgets.get(testWorkspace)).captured).toBe(credits(stats.units_deducted));
    });

    test('eight workers that got the same message send one create', async () => {
      const core = await openKlingCore(database);
      for (let round = 0; round < 5; round++) {
        const id = await core.start();
        const { id: attemptId } = await core.attempt(id);
        await Promise.all(Array.from({ length: 8 }, () => submit(core.context, core.deps, attemptId, never)));
        expect((await core.video(id)).state).toBe('generating');
        await core.ended();
        await core.advance(600_000);
        await core.look();
      }
      expect(core.sandbox.stats()).toMatchObject({ creates_accepted: 5, calls: { create: 5 } });
      await core.books();
    });

    test('pollers and hints at once look once at a time and settle once', async () => {
      const core = await openKlingCore(database, { slots: 4 });
      for (let index = 0; index < 4; index++) await core.create();
      await core.dispatch();
      const attempts = await database.kysely.selectFrom('attempts').select(['id', 'video_id']).execute();
      for (const attempt of attempts) await core.submit(attempt.video_id);
      await core.ended();
      await core.advance(600_000);
      const looks = Array.from({ length: 6 }, () => lookAtAccount(core.context, core.kling, 'main', never));
      const hints = attempts.map((attempt) => hint(core.context, attempt.id));
      const [looked] = await Promise.all([Promise.all(looks), Promise.all(hints)]);
      // A row that a hint was just writing is passed over by every poller, and stays due for the next pass.
      const rest = await core.look();
      expect(looked.reduce((sum, count) => sum + count, rest)).toBe(4);
      for (const { video_id: id } of attempts) expect((await core.video(id)).state).toBe('archiving');
      await core.books();
    });
  },
);
