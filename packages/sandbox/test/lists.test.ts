import { expect, test } from 'vitest';
import { createLegacy, createStandard, ended, eventually, type Json, legacyPath, openSandbox } from './harness.ts';

async function openWith(count: number) {
  const client = await openSandbox({ slots: 100 });
  const ids: string[] = [];
  for (let index = 0; index < count; index++) ids.push(await createLegacy(client));
  return { client, newestFirst: ids.toReversed() };
}

test('the legacy list pages newest first and holds legacy tasks only', async () => {
  const { client, newestFirst } = await openWith(7);
  await createStandard(client);
  const page = async (query: string) =>
    (await client.get(`${legacyPath}?${query}`)).body.data.map((task: Json) => task.task_id);
  expect(await page('')).toEqual(newestFirst);
  expect(await page('pageNum=1&pageSize=3')).toEqual(newestFirst.slice(0, 3));
  expect(await page('pageNum=3&pageSize=3')).toEqual(newestFirst.slice(6));
  expect(await page('pageNum=4&pageSize=3')).toEqual([]);
});

test.each(['pageNum=0', 'pageNum=1001', 'pageSize=0', 'pageSize=501', 'pageSize=x'])('%s is refused', async (query) => {
  const client = await openSandbox();
  expect((await client.get(`${legacyPath}?${query}`)).body.code).toBe(1201);
});

test('the cursor of POST /tasks walks every task exactly once while new ones arrive', async () => {
  const { client, newestFirst } = await openWith(7);
  const seen: string[] = [];
  let cursor = '';
  for (let pages = 0; pages < 10; pages++) {
    const { data } = (await client.post('/tasks', { limit: 2, ...(cursor ? { cursor } : {}) })).body;
    expect(data.count).toBe(data.result.length);
    seen.push(...data.result.map((task: Json) => task.id));
    await createStandard(client);
    if (!data.has_more) break;
    cursor = data.next_cursor;
  }
  expect(seen).toEqual(newestFirst);
});

test('POST /tasks filters by time, status and product', async () => {
  const client = await openSandbox({ taskMs: 60_000 });
  const failing = await createStandard(client, { prompt: 'x', settings: { resolution: '480p' } });
  const running = await createStandard(client);
  const found = async (body: object) =>
    (await client.post('/tasks', body)).body.data.result.map((task: Json) => task.id);
  const filter = (key: string, ...values: string[]) => ({ filters: [{ key, values }] });
  expect(await found(filter('status', 'submitted', 'processing'))).toEqual([running, failing]);
  expect(await found(filter('status', 'succeeded'))).toEqual([]);
  expect(await found(filter('product_type', 'video'))).toHaveLength(2);
  expect(await found(filter('product_type', 'image'))).toEqual([]);
  expect(await found({ start_time: String(Date.now() - 60_000), end_time: Date.now() + 1 })).toHaveLength(2);
  expect(await found({ start_time: 1, end_time: 2 })).toEqual([]);
});

test.each([
  { start_time: 5, end_time: 5 },
  { limit: 501 },
  { limit: 0 },
  { cursor: 'nonsense' },
  { filters: [{ key: 'colour', values: [] }] },
  { filters: [{ key: 'status', values: ['succeed'] }] },
])('POST /tasks refuses %j', async (body) => {
  const client = await openSandbox();
  expect(await client.post('/tasks', body)).toMatchObject({ status: 400, body: { code: 1201 } });
});

test('asking by both kinds of id is refused, an id asked twice is answered once', async () => {
  const client = await openSandbox();
  const id = await createStandard(client);
  expect((await client.get(`/tasks?task_ids=${id}&external_task_ids=x`)).body.code).toBe(1201);
  expect((await client.get(`/tasks?task_ids=${id},${id}`)).body.data).toHaveLength(1);
});

test('the inspection shows tasks and calls, newest first, and reset forgets them', async () => {
  const client = await openSandbox();
  await ended(client, await createLegacy(client, { external_task_id: 'job' }));
  await client.get('/nowhere');
  expect((await client.get('/_sandbox/tasks?external_id=job')).body).toMatchObject([
    { status: 'succeeded', model: 'kling-2.6', generation: 'legacy', deducted: '1.5', faults: [] },
  ]);
  const calls = (await client.get('/_sandbox/calls')).body;
  expect(calls[0]).toMatchObject({ kind: 'unknown', http: 404, path: '/nowhere' });
  expect(calls.at(-1)).toMatchObject({ kind: 'create', http: 200, code: 0, external_id: 'job', account: 'sandbox' });
  expect((await client.get('/_sandbox/stats')).body.calls).toMatchObject({ create: 1, unknown: 1 });
  expect((await client.send('POST', '/_sandbox/reset')).status).toBe(204);
  expect((await client.get('/_sandbox/stats')).body).toMatchObject({
    creates_accepted: 0,
    calls: {},
    units_deducted: '0',
    pools: {},
  });
  await createLegacy(client, { external_task_id: 'job' });
  await eventually(
    () => client.sandbox.stats().tasks['succeeded'],
    (count) => count === 1,
  );
});
