import { sandboxApiKey } from '@dailies/sandbox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { auditAccount } from '../src/videos/audit.ts';
import { openKlingCore } from './support/kling-core.ts';
import { openTestDatabase } from './support/database.ts';

const signal = new AbortController().signal;
let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function buyBehindOurBack(url: string, externalTaskId: string): Promise<void> {
  const response = await fetch(`${url}/text-to-video/kling-2.6`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandboxApiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'a stranger', options: { external_task_id: externalTaskId } }),
  });
  expect(response.status).toBe(200);
}

test('a task with our id that nobody holds is reported, and tasks of ours and of others are not', async () => {
  const core = await openKlingCore(database, { sandbox: { taskMs: 60_000 } });
  const video = await core.bring();
  await buyBehindOurBack(core.sandbox.url, 'somebody-elses-job');
  expect(await auditAccount(core.context, core.kling, 'main', signal)).toEqual({ seen: 1, unknown: [] });
  await buyBehindOurBack(core.sandbox.url, `${video}-2`);
  expect(await auditAccount(core.context, core.kling, 'main', signal)).toEqual({ seen: 2, unknown: [`${video}-2`] });
});

test('a task whose attempt was taken for refused is reported: it was bought after all', async () => {
  const core = await openKlingCore(database, { sandbox: { taskMs: 60_000 } });
  const video = await core.bring();
  await database.kysely.updateTable('attempts').set({ state: 'refused' }).where('video_id', '=', video).execute();
  expect((await auditAccount(core.context, core.kling, 'main', signal)).unknown).toEqual([`${video}-1`]);
});
