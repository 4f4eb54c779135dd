import { expect, test } from 'vitest';
import { createLegacy, createStandard, ended, eventually, legacyPath, openSandbox } from './harness.ts';

const body = { model_name: 'kling-v2-6', prompt: 'fox', external_task_id: 'job' };

test('refuse: a repeat is 1201, even after the first task has failed', async () => {
  const client = await openSandbox();
  await ended(client, await createLegacy(client, { external_task_id: 'job', prompt: 'x [[fault:moderation_failed]]' }));
  expect((await client.post(legacyPath, body)).body).toMatchObject({
    code: 1201,
    message: 'External_task_id job already exists',
  });
  expect(client.sandbox.stats().max_creates_per_external_id).toBe(1);
});

test('return-first: a repeat is answered with the first task and buys nothing', async () => {
  const client = await openSandbox({ repeatedExternalId: 'return-first' });
  const id = await createLegacy(client, { external_task_id: 'job' });
  expect((await client.post(legacyPath, body)).body).toMatchObject({ code: 0, data: { task_id: id } });
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
});

test('create-second: a repeat buys a second task, and the stats say so', async () => {
  const client = await openSandbox({ repeatedExternalId: 'create-second' });
  const first = await createLegacy(client, { external_task_id: 'job' });
  const second = await createLegacy(client, { external_task_id: 'job' });
  expect(second).not.toBe(first);
  expect((await client.get(`${legacyPath}/job`)).body.data.task_id).toBe(second);
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 2, max_creates_per_external_id: 2 });
});

test('a refused create does not use up its external id', async () => {
  const client = await openSandbox();
  expect((await client.post(legacyPath, { ...body, prompt: 'x [[fault:1303]]' })).body.code).toBe(1303);
  expect((await client.post(legacyPath, { ...body, prompt: 'x [[fault:1303]]' })).body.code).toBe(0);
});

test('a new task is invisible to every look-up and list until the lag has passed, but its id is taken', async () => {
  const client = await openSandbox({ visibilityLagMs: 600 });
  const id = await createLegacy(client, { external_task_id: 'job' });
  const looks = async () => [
    (await client.get(`${legacyPath}/${id}`)).body.code === 0,
    (await client.get(`${legacyPath}/job`)).body.code === 0,
    (await client.get(`/tasks?task_ids=${id}`)).body.data.length > 0,
    (await client.get('/tasks?external_task_ids=job')).body.data.length > 0,
    (await client.get(legacyPath)).body.data.length > 0,
    (await client.post('/tasks')).body.data.result.length > 0,
  ];
  expect(await looks()).toEqual([false, false, false, false, false, false]);
  expect((await client.post(legacyPath, body)).body.code).toBe(1201);
  await eventually(looks, (seen) => seen.every(Boolean));
});

test('legacy look-ups are per path, /tasks finds both generations', async () => {
  const client = await openSandbox();
  const legacy = await createLegacy(client, { external_task_id: 'old' });
  const standard = await createStandard(client, { options: { external_task_id: 'new' } });
  expect((await client.get(`${legacyPath}/${standard}`)).body.code).toBe(1201);
  expect((await client.get(`${legacyPath}/new`)).body.code).toBe(1201);
  const byId = (await client.get(`/tasks?task_ids=${legacy},${standard}`)).body.data;
  expect(byId.map((task: { id: string }) => task.id).toSorted()).toEqual([legacy, standard].toSorted());
  const byExternal = (await client.get('/tasks?external_task_ids=old,new')).body.data;
  expect(byExternal.map((task: { external_id: string }) => task.external_id).toSorted()).toEqual(['new', 'old']);
});
