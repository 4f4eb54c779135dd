import { expect, test } from 'vitest';
import { createLegacy, createStandard, ended, eventually, legacyPath, openSandbox } from './harness.ts';

test('a legacy task goes submitted, processing, succeed in the documented shapes', async () => {
  const client = await openSandbox({ taskMs: 600 });
  const body = { model_name: 'kling-v2-6', prompt: 'fox', mode: 'pro', external_task_id: 'job-1' };
  const created = (await client.post(legacyPath, body)).body;
  expect(created).toMatchObject({ code: 0, message: 'SUCCEED', request_id: expect.any(String) });
  const { task_id: id, created_at: at } = created.data;
  expect(created.data).toEqual({
    task_id: id,
    task_status: 'submitted',
    task_info: { external_task_id: 'job-1' },
    created_at: at,
    updated_at: at,
  });
  expect(id).toMatch(/^\d{18}$/);
  const query = async () => (await client.get(`${legacyPath}/${id}`)).body.data;
  const processing = await eventually(query, (task) => task.task_status === 'processing');
  expect(processing).toEqual({
    ...created.data,
    task_status: 'processing',
    task_result: {},
    task_status_msg: '',
    updated_at: expect.any(Number),
  });
  expect(processing.updated_at).toBeGreaterThan(at);
  const done = await eventually(query, (task) => task.task_status === 'succeed');
  expect(done).toEqual({
    ...processing,
    task_status: 'succeed',
    task_result: { videos: [{ id: expect.stringMatching(/^\d{18}$/), url: expect.any(String), duration: '5.041' }] },
    final_unit_deduction: '2.5',
    watermark_info: { enabled: false },
    updated_at: expect.any(Number),
  });
  expect(done.updated_at - at).toBeGreaterThanOrEqual(600);
});

test('a standard task ends as succeeded with outputs and billing', async () => {
  const client = await openSandbox();
  const body = { prompt: 'fox', settings: { duration: 3, audio: 'native' }, options: { external_task_id: 'job-2' } };
  const created = (await client.post('/text-to-video/kling-3.0', body)).body.data;
  expect(created).toEqual({
    id: expect.stringMatching(/^\d{18}$/),
    status: 'submitted',
    message: '',
    create_time: created.create_time,
    update_time: created.create_time,
    external_id: 'job-2',
  });
  const done = await ended(client, created.id);
  expect(done).toEqual({
    ...created,
    status: 'succeeded',
    update_time: expect.any(Number),
    outputs: [{ type: 'video', id: expect.any(String), url: expect.any(String), duration: '3.041' }],
    billing: [{ charge_type: 'unit', amount: '2.7', package_type: 'video' }],
  });
});

test('a failed task is a success of the query: HTTP 200, SUCCEED, reason in the record, nothing deducted', async () => {
  const client = await openSandbox();
  const id = await createLegacy(client, { prompt: 'x [[fault:failed_after_processing]]' });
  const answer = await eventually(
    () => client.get(`${legacyPath}/${id}`),
    ({ body }) => body.data.task_status === 'failed',
  );
  expect(answer).toMatchObject({ status: 200, body: { code: 0, message: 'SUCCEED', data: { task_result: {} } } });
  expect(answer.body.data.task_status_msg).not.toBe('');
  expect(answer.body.data).not.toHaveProperty('final_unit_deduction');
  expect(client.sandbox.stats().units_deducted).toBe('0');
});

test('a watermarked variant is there only when ordered', async () => {
  const client = await openSandbox();
  const id = await createStandard(client, { options: { watermark_info: { enabled: true } } });
  const { outputs } = await ended(client, id);
  expect(Object.keys(outputs[0])).toEqual(['type', 'id', 'url', 'watermark_url', 'duration']);
  expect((await fetch(outputs[0].watermark_url)).status).toBe(200);
});

test('ids are increasing decimal strings that carry their time', async () => {
  const client = await openSandbox({ slots: 20 });
  const ids: bigint[] = [];
  for (let index = 0; index < 20; index++) ids.push(BigInt(await createStandard(client)));
  expect(ids.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids);
  expect(new Set(ids).size).toBe(20);
  const ms = Number((ids[0] ?? 0n) >> 22n) + 1_568_028_518_800;
  expect(Math.abs(ms - Date.now())).toBeLessThan(10_000);
});

test('slots are counted per account and model version under all its names, and freed at the end', async () => {
  const client = await openSandbox({ slots: 2, taskMs: 600 });
  const id = await createLegacy(client);
  await createStandard(client, {}, 'kling-2.6');
  expect((await client.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'x' })).body.code).toBe(1303);
  expect((await client.post('/text-to-video/kling-2.6', { prompt: 'x' })).status).toBe(429);
  await createStandard(client, {}, 'kling-3.0');
  await ended(client, id);
  await eventually(
    () => client.sandbox.stats().in_flight['sandbox/kling-2.6/video'],
    (count) => count === 0,
  );
  await createLegacy(client);
  expect(client.sandbox.stats()).toMatchObject({
    creates_accepted: 4,
    creates_refused: { 1303: 2 },
    max_in_flight: { 'sandbox/kling-2.6/video': 2, 'sandbox/kling-3.0/video': 1 },
  });
});

test('slot accounts add up to the millisecond', async () => {
  const client = await openSandbox({ slots: 3 });
  const ids = await Promise.all([createStandard(client), createStandard(client), createStandard(client)]);
  const tasks = await Promise.all(ids.map((id) => ended(client, id)));
  const busy = tasks.reduce((sum, task) => sum + task.update_time - task.create_time, 0);
  const first = Math.min(...tasks.map((task) => task.create_time));
  const last = Math.max(...tasks.map((task) => task.update_time));
  const { body: stats } = await client.get('/_sandbox/stats');
  const pool = 'sandbox/kling-3.0/video';
  expect(stats.slot_busy_ms[pool]).toBe(busy);
  expect(stats.slot_available_ms[pool]).toBe(3 * (last - first));
  expect(stats.pools[pool]).toEqual({ capacity: 3, first_create_at: first, last_end_at: last });
});

test('units are deducted at success and shown by the account', async () => {
  const client = await openSandbox({
    accounts: [{ id: 'a', apiKey: 'api-key-kling-sandbox-not-a-secret-0000000000000000', units: 100 }],
  });
  const costs = async () =>
    (await client.get(`/account/costs?start_time=0&end_time=${Date.now()}`)).body.data.resource_pack_subscribe_infos[0];
  const running = await createLegacy(client, { mode: 'pro', duration: '10' });
  await ended(client, running);
  await ended(client, await createStandard(client, { settings: { duration: 3, resolution: '1080p' } }));
  await ended(client, await createStandard(client, { prompt: 'x [[fault:moderation_failed]]' }));
  expect(await costs()).toMatchObject({
    resource_pack_name: expect.stringMatching(/^Trial-Video-100Units-5Con-\d+Months$/),
    resource_pack_type: 'decreasing_total',
    total_quantity: 100,
    remaining_quantity: 92.6,
    status: 'online',
  });
  expect(client.sandbox.stats().units_deducted).toBe('7.4');
});

test('each deduction is a line of the package bill, with what was left before and after', async () => {
  const token = 'api-key-kling-sandbox-not-a-secret-0000000000000000';
  const client = await openSandbox({ accounts: [{ id: 'a', apiKey: token, units: 100 }] });
  await ended(client, await createLegacy(client, { mode: 'pro', duration: '10' }));
  await ended(client, await createStandard(client, { settings: { duration: 3, resolution: '1080p' } }));
  const bill = async (body: object) => (await client.post('/account/billing/package', body)).body;
  const times = { start_time: 1, end_time: Date.now() + 1 };
  expect((await bill(times)).data).toMatchObject({ result: { count: 2 }, has_more: false });
  const first = (await bill({ ...times, limit: 1 })).data;
  expect(first.result.detail).toMatchObject([
    { unit_before_deduction: '95', deduction_amount: '2.4', unit_after_deduction: '92.6', resolution: '1080p' },
  ]);
  const second = (await bill({ cursor: first.next_cursor })).data;
  expect(second.result.detail).toMatchObject([
    { unit_before_deduction: '100', deduction_amount: '5', unit_after_deduction: '95', model_name: 'kling-2.6' },
  ]);
  const filter = (key: string, value: string) => bill({ ...times, filters: [{ key, values: [value] }] });
  expect((await filter('api_key_name', 'other')).data.result.count).toBe(0);
  expect((await filter('product_type', 'video')).data.result.count).toBe(2);
  expect((await filter('colour', 'red')).code).toBe(1201);
  expect(await bill({})).toMatchObject({ code: 1200, message: 'Missing Request Parameter' });
  expect((await client.post('/account/billing/balance', times)).body.data.result).toEqual({ detail: [], count: 0 });
});

test('a pack cannot promise the same unit to two running tasks', async () => {
  const token = 'api-key-kling-sandbox-not-a-secret-0000000000000000';
  const client = await openSandbox({ taskMs: 60_000, accounts: [{ id: 'a', apiKey: token, units: 4 }] });
  await createLegacy(client, { mode: 'pro' });
  expect((await client.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'x', mode: 'pro' })).body.code).toBe(1102);
  await createLegacy(client);
});
