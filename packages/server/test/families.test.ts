import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { listFamiliesOf, listWaitingFamilies } from '../src/scheduling/slots.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { openCore, testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';

test.each(['freed slot', 'timer'])(
  'families that share a pool all get slots while each has a backlog: %s',
  async (asker) => {
    const database = await openTestDatabase();
    const core = await openCore(database, { slots: 1 });
    try {
      for (let index = 0; index < 22; index++) {
        await core.create();
        await core.create({ negative_prompt: 'blur' });
      }
      const started: Record<string, number> = {};
      for (let round = 0; round < 20; round++) {
        const families =
          asker === 'timer'
            ? await listWaitingFamilies(database.kysely)
            : await listFamiliesOf(database.kysely, 'main/kling-2.6/video');
        expect(families).toHaveLength(2);
        for (const family of families) await dispatchFamily(core.context, family);
        const { video_id: id, family_id: family } = await database.kysely
          .selectFrom('attempts')
          .select(['video_id', 'family_id'])
          .where('holds_slot', '=', true)
          .executeTakeFirstOrThrow();
        started[family] = (started[family] ?? 0) + 1;
        // Frees the slot: nothing was sent yet.
        await core.videos.cancel(id, testWorkspace);
      }
      expect(Object.keys(started), JSON.stringify(started)).toHaveLength(2);
      const { rows } = await sql<{ in_use: number }>`select in_use from pools where in_use > 0`.execute(
        database.kysely,
      );
      expect(rows).toEqual([]);
    } finally {
      await core.close();
      await database.close();
    }
  },
);
