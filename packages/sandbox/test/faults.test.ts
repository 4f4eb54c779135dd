import { describe, expect, test } from 'vitest';
import { codes } from '../src/wire/codes.ts';
import { faultCatalogue } from '../src/faults/catalogue.ts';
import {
  createLegacy,
  createStandard,
  ended,
  eventually,
  type Json,
  legacyPath,
  openReceiver,
  openSandbox,
} from './harness.ts';

const create = { model_name: 'kling-v2-6', prompt: 'fox' };

describe('a service code asked for refuses the create with its status, and nothing is created', () => {
  test.each(Object.entries(codes))('%s', async (code, [status]) => {
    const client = await openSandbox();
    await client.post('/_sandbox/faults', { fault: code });
    expect(await client.post(legacyPath, create)).toMatchObject({ status, body: { code: Number(code) } });
    expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 0, creates_refused: { [code]: 1 } });
    expect((await client.post(legacyPath, create)).body.code).toBe(0);
  });
});

test('html_502 is a page of a proxy, without a task', async () => {
  const client = await openSandbox();
  const answer = await client.post(legacyPath, { ...create, prompt: '[[fault:html_502]]' });
  expect(answer.status).toBe(502);
  expect(answer.headers.get('content-type')).toBe('text/html');
  expect(answer.text).toContain('<html>');
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 0, creates_refused: { html_502: 1 } });
});

test('reset cuts the connection without a task', async () => {
  const client = await openSandbox();
  await expect(client.post(legacyPath, { ...create, prompt: '[[fault:reset]]' })).rejects.toThrow();
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 0, creates_refused: { reset: 1 } });
});

test('answer_lost cuts the connection, but the task is there', async () => {
  const client = await openSandbox();
  const body = { ...create, prompt: '[[fault:answer_lost]]', external_task_id: 'job' };
  await expect(client.post(legacyPath, body)).rejects.toThrow();
  expect((await client.get(`${legacyPath}/job`)).body.data.task_info).toEqual({ external_task_id: 'job' });
  expect((await client.post(legacyPath, body)).body.code).toBe(1201);
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 1, creates_refused: { 1201: 1 } });
  const first = (await client.get('/_sandbox/calls?kind=create')).body.at(-1);
  expect(first).toMatchObject({ http: 0, fault: 'answer_lost' });
});

test.each([
  ['accepted_5002', 504],
  ['accepted_html_502', 502],
])('%s answers an error, but the task is there', async (fault, status) => {
  const client = await openSandbox();
  const body = { prompt: `x [[fault:${fault}]]`, options: { external_task_id: 'job' } };
  expect((await client.post('/text-to-video/kling-3.0', body)).status).toBe(status);
  expect((await client.get('/tasks?external_task_ids=job')).body.data).toHaveLength(1);
  expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 1, creates_refused: {} });
});

test('slow_headers holds the answer back; the state in it is that of the create', async () => {
  const client = await openSandbox({ taskMs: 20 });
  const startedAt = performance.now();
  const answer = await client.post(legacyPath, { ...create, prompt: 'x [[fault:slow_headers:150]]' });
  expect(performance.now() - startedAt).toBeGreaterThan(145);
  expect(answer.body.data.task_status).toBe('submitted');
});

test('a stuck task stays in processing and keeps its slot', async () => {
  const client = await openSandbox({ slots: 1, taskMs: 30 });
  const id = await createLegacy(client, { prompt: 'x [[fault:stuck]]' });
  await ended(client, await createStandard(client));
  await ended(client, await createStandard(client));
  expect((await client.get(`${legacyPath}/${id}`)).body.data.task_status).toBe('processing');
  expect((await client.post(legacyPath, create)).body.code).toBe(1303);
});

test('slow takes ten times as long', async () => {
  const client = await openSandbox({ taskMs: 20 });
  const task = await ended(client, await createStandard(client, { prompt: 'x [[fault:slow]]' }));
  expect(task.update_time - task.create_time).toBeGreaterThanOrEqual(200);
});

test('an unknown status word shows while processing, in queries and callbacks, then the task ends', async () => {
  const client = await openSandbox({ taskMs: 500 });
  const hook = await openReceiver();
  const id = await createLegacy(client, { prompt: 'x [[fault:unknown_status]]', callback_url: hook.url });
  await eventually(
    async () => (await client.get(`${legacyPath}/${id}`)).body.data.task_status,
    (status) => status === 'suspended',
  );
  expect(await ended(client, id)).toMatchObject({ status: 'succeeded' });
  await eventually(
    () => hook.received.map(({ body }) => body.task_status),
    (seen) => seen.join() === 'submitted,suspended,succeed',
  );
});

test('failed_after_processing goes through processing and costs nothing', async () => {
  const client = await openSandbox({ taskMs: 100 });
  const hook = await openReceiver();
  const body = { prompt: 'x [[fault:failed_after_processing]]', options: { callback_url: hook.url } };
  await ended(client, await createStandard(client, body));
  await eventually(
    () => hook.received.map((each) => each.body.status),
    (seen) => seen.join() === 'submitted,processing,failed',
  );
  expect(client.sandbox.stats().units_deducted).toBe('0');
});

describe('callbacks', () => {
  async function run(fault: string) {
    const client = await openSandbox({ taskMs: 60 });
    const hook = await openReceiver();
    const body = { prompt: `x [[fault:${fault}]]`, options: { callback_url: hook.url } };
    const id = await createStandard(client, body);
    return { client, hook, id, seen: () => hook.received.map((each) => each.body.status) };
  }

  test('callback_lost sends none', async () => {
    const { client, id, hook } = await run('callback_lost');
    await ended(client, id);
    await eventually(
      () => client.sandbox.stats().callbacks,
      (callbacks) => callbacks['lost'] === 3,
    );
    expect(hook.received).toEqual([]);
  });

  test('callback_doubled sends each twice', async () => {
    const { seen } = await run('callback_doubled');
    await eventually(seen, (words) => words.join() === 'submitted,submitted,processing,processing,succeeded,succeeded');
  });

  test('callback_reordered sends the final one first', async () => {
    const { seen } = await run('callback_reordered');
    await eventually(seen, (words) => words.join() === 'succeeded,processing,submitted');
  });

  test('callback_forged adds a success that never was, with a foreign file', async () => {
    const { client, id, hook, seen } = await run('callback_forged');
    await eventually(seen, (words) => words.length === 4);
    expect(seen()).toEqual(['submitted', 'succeeded', 'processing', 'succeeded']);
    expect(hook.received[1]?.body.outputs[0].url).toBe('https://files.example.net/forged.mp4');
    expect((await ended(client, id)).outputs[0].url).toMatch(/^http:\/\/127\.0\.0\.1/);
  });

  test('callback_early arrives before the create is answered', async () => {
    const client = await openSandbox({ taskMs: 10_000 });
    const hook = await openReceiver();
    const id = await createLegacy(client, { prompt: 'x [[fault:callback_early]]', callback_url: hook.url });
    expect(hook.received.map(({ body }) => [body.task_id, body.task_status])).toContainEqual([id, 'succeed']);
    expect((await client.get(`${legacyPath}/${id}`)).body.data.task_status).not.toBe('succeed');
  });
});

describe('scripted faults', () => {
  test('strike only what matches, as often as asked', async () => {
    const client = await openSandbox({ slots: 50 });
    await client.post('/_sandbox/faults', {
      fault: '1302',
      count: 2,
      match: { model: 'kling-v2-6', prompt: 'fox', external_id: 'job' },
    });
    const answers = [
      { ...create },
      { ...create, external_task_id: 'job', prompt: 'cat' },
      { ...create, external_task_id: 'job', model_name: 'kling-v3' },
      { ...create, external_task_id: 'job2' },
    ];
    for (const body of answers.slice(0, 1)) expect((await client.post(legacyPath, body)).body.code).toBe(0);
    expect((await client.post(legacyPath, { ...create, external_task_id: 'job' })).body.code).toBe(1302);
    expect((await client.post(legacyPath, { ...create, external_task_id: 'job' })).body.code).toBe(1302);
    for (const body of answers.slice(1)) {
      const answer = await client.post(legacyPath, body);
      expect(answer.body.code === 0 || answer.body.code === 1201).toBe(true);
    }
    expect((await client.get('/_sandbox/faults')).body.rules).toMatchObject([{ fault: '1302', used: 2 }]);
  });

  test('a rate strikes its share, the same creates for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const client = await openSandbox({ seed, slots: 200 });
      await client.post('/_sandbox/faults', { fault: '5000', rate: 0.3 });
      let outcome = '';
      for (let index = 0; index < 60; index++)
        outcome += (await client.post(legacyPath, create)).status === 500 ? 'x' : '.';
      return outcome;
    };
    const outcome = await run(7);
    const share = outcome.replaceAll('.', '').length / 60;
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.5);
    expect(await run(7)).toBe(outcome);
    expect(await run(8)).not.toBe(outcome);
  });

  test('error faults work on reads too', async () => {
    const client = await openSandbox();
    const id = await createLegacy(client);
    await client.post('/_sandbox/faults', { fault: '5002', call: 'query' });
    expect((await client.get(`${legacyPath}/${id}`)).status).toBe(504);
    expect((await client.get(`${legacyPath}/${id}`)).status).toBe(200);
    await client.post('/_sandbox/faults', { fault: 'html_502', call: 'list' });
    expect((await client.post('/tasks')).status).toBe(502);
    await client.post('/_sandbox/faults', { fault: 'reset', call: 'costs' });
    await expect(client.get('/account/costs?start_time=1&end_time=2')).rejects.toThrow();
  });

  test('several rules on one create all strike', async () => {
    const client = await openSandbox();
    for (const fault of ['moderation_failed', 'callback_lost']) await client.post('/_sandbox/faults', { fault });
    const hook = await openReceiver();
    await ended(client, await createStandard(client, { options: { callback_url: hook.url } }));
    expect((await client.get('/_sandbox/tasks')).body[0].faults).toEqual(['moderation_failed', 'callback_lost']);
  });

  test('DELETE ends all rules', async () => {
    const client = await openSandbox();
    await client.post('/_sandbox/faults', { fault: '5000', count: 9 });
    await client.send('DELETE', '/_sandbox/faults');
    expect((await client.post(legacyPath, create)).status).toBe(200);
  });

  test.each<[Json, RegExp]>([
    [{ fault: 'nonsense' }, /fault must be one of/],
    [{ fault: '5000', rates: 1 }, /rates is not known/],
    [{ fault: '5000', rate: 2 }, /rate must be a number from 0 to 1/],
    [{ fault: '5000', count: 1.5 }, /count must be a whole number/],
    [{ fault: 'stuck', call: 'query' }, /strikes creates only/],
    [{ fault: '5000', call: 'query', match: { prompt: 'x' } }, /match looks at creates only/],
    [{ fault: '5000', match: { colour: 'red' } }, /match.colour is not known/],
  ])('%j is refused by name', async (body, message) => {
    const client = await openSandbox();
    const answer = await client.post('/_sandbox/faults', body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatch(message);
  });
});

describe('magic words', () => {
  test('a refusing word works once per prompt, or as often as it says', async () => {
    const client = await openSandbox({ slots: 50 });
    const codeOf = async (prompt: string) => (await client.post(legacyPath, { ...create, prompt })).body.code;
    expect([
      await codeOf('a [[fault:1303]]'),
      await codeOf('a [[fault:1303]]'),
      await codeOf('b [[fault:1303]]'),
    ]).toEqual([1303, 0, 1303]);
    expect([
      await codeOf('[[fault:1302*2]]'),
      await codeOf('[[fault:1302*2]]'),
      await codeOf('[[fault:1302*2]]'),
    ]).toEqual([1302, 1302, 0]);
    for (let index = 0; index < 4; index++) expect(await codeOf('[[fault:5000*]]')).toBe(5000);
    for (let index = 0; index < 4; index++) expect(await codeOf('[[fault:1301]]')).toBe(1301);
  });

  test('an unknown word is a prompt like any other', async () => {
    const client = await openSandbox();
    expect((await client.post(legacyPath, { ...create, prompt: '[[fault:nothing]]' })).body.code).toBe(0);
  });
});

test('the admin API lists every fault with what it does', async () => {
  const client = await openSandbox();
  const { known } = (await client.get('/_sandbox/faults')).body;
  expect(Object.keys(known).toSorted()).toEqual([...faultCatalogue.keys()].toSorted());
});
