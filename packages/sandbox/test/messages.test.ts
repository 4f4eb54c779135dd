import { describe, expect, test } from 'vitest';
import { createLegacy, createStandard, ended, type Answer, type Client, legacyPath, openSandbox } from './harness.ts';

interface Row {
  readonly message: string | RegExp;
  readonly status: number;
  readonly code: number;
  readonly options?: Parameters<typeof openSandbox>[0];
  ask(client: Client): Promise<Answer>;
}

const standard =
  (body: object, model = 'kling-3.0') =>
  (client: Client) =>
    client.post(`/text-to-video/${model}`, body);
const legacy = (body: object) => (client: Client) => client.post(legacyPath, body);

/** The observed refusals that a text-to-video client can meet (kling-api.md 1.5). */
const rows: Record<string, Row> = {
  'concurrency above the pack': {
    status: 429,
    code: 1303,
    message: 'parallel task over resource pack limit',
    options: { slots: 1, taskMs: 60_000 },
    ask: async (client) => {
      await createLegacy(client);
      return legacy({ model_name: 'kling-v2-6', prompt: 'fox' })(client);
    },
  },
  'no balance': {
    status: 429,
    code: 1102,
    message: 'Account balance not enough',
    options: { accounts: [{ id: 'poor', apiKey: 'api-key-kling-poor', units: 1 }] },
    ask: (client) =>
      client.post(
        legacyPath,
        { model_name: 'kling-v2-6', prompt: 'fox' },
        { authorization: 'Bearer api-key-kling-poor' },
      ),
  },
  'legacy query of an unknown id': {
    status: 400,
    code: 1201,
    message: 'Task not found by id/external id: 123',
    ask: (client) => client.get(`${legacyPath}/123`),
  },
  'GET /tasks with neither list': {
    status: 400,
    code: 1201,
    message: 'task_ids or external_task_ids is required',
    ask: (client) => client.get('/tasks'),
  },
  'more than 20 ids': {
    status: 400,
    code: 1201,
    message: /cannot exceed 20 in total$/,
    ask: (client) => client.get(`/tasks?task_ids=${Array.from({ length: 21 }, (_, index) => index + 1).join(',')}`),
  },
  'a repeated external id, standard': {
    status: 400,
    code: 1201,
    message: 'External_task_id job-1 already exists',
    ask: async (client) => {
      await createStandard(client, { options: { external_task_id: 'job-1' } });
      return standard({ prompt: 'fox', options: { external_task_id: 'job-1' } })(client);
    },
  },
  'a repeated external id, legacy after standard': {
    status: 400,
    code: 1201,
    message: 'External_task_id job-1 already exists',
    ask: async (client) => {
      await createStandard(client, { options: { external_task_id: 'job-1' } });
      return legacy({ model_name: 'kling-v2-6', prompt: 'fox', external_task_id: 'job-1' })(client);
    },
  },
  'costs without snake_case times': {
    status: 400,
    code: 1200,
    message: 'Missing Request Parameter',
    ask: (client) => client.get('/account/costs?startTime=1&endTime=2'),
  },
  'a capability that this variant lacks': {
    status: 400,
    code: 1201,
    message: 'model/mode/duration(kling-v2-6/std/5) is not supported with sound',
    ask: legacy({ model_name: 'kling-v2-6', prompt: 'fox', sound: 'on' }),
  },
  'empty contents': { status: 400, code: 1201, message: 'contents cannot be empty', ask: standard({ contents: [] }) },
  'contents of another type': {
    status: 400,
    code: 1201,
    message: 'contents value type is invalid, expected array',
    ask: standard({ contents: 'fox' }),
  },
  'an unknown content type': {
    status: 400,
    code: 1201,
    message: "contents[0].type value 'song' is invalid",
    ask: standard({ contents: [{ type: 'song' }] }),
  },
  'a blank prompt item': {
    status: 400,
    code: 1201,
    message: "content item of type 'prompt' must have non-blank text",
    ask: standard({ contents: [{ type: 'prompt', text: ' ' }] }),
  },
  'a bad seed': {
    status: 400,
    code: 1201,
    message: "settings.seed value 'x' is invalid",
    ask: standard({ prompt: 'fox', settings: { seed: 'x' } }),
  },
  'original audio without a source': {
    status: 400,
    code: 1201,
    message: "audio mode 'original' is not supported by the current model",
    ask: standard({ prompt: 'fox', settings: { audio: 'original' } }),
  },
  'an unknown model in the path': {
    status: 400,
    code: 1201,
    message: 'model is not supported',
    ask: standard({ prompt: 'fox' }, 'kling-9'),
  },
  'a retired model': {
    status: 400,
    code: 1201,
    message: "The model 'kling-v1' has been discontinued and is no longer available.",
    options: { retiredModels: 'refuse' },
    ask: legacy({ prompt: 'fox' }),
  },
};

test.each(Object.entries(rows))('%s is refused in the observed words', async (_name, row) => {
  const client = await openSandbox(row.options);
  const answer = await row.ask(client);
  expect(answer.status).toBe(row.status);
  expect(answer.body.code).toBe(row.code);
  expect(answer.body.message).toEqual(row.message instanceof RegExp ? expect.stringMatching(row.message) : row.message);
  expect(answer.body.request_id).toMatch(/^[0-9a-f-]{36}$/);
  expect(Object.keys(answer.body)).toEqual(['code', 'message', 'request_id']);
});

test('GET /tasks leaves unknown ids out instead of refusing', async () => {
  const client = await openSandbox();
  const answer = await client.get('/tasks?task_ids=123');
  expect(answer).toMatchObject({ status: 200, body: { code: 0, message: 'SUCCEED', data: [] } });
});

describe('accepted at create, failed later', () => {
  const failures = [
    ['moderation', { prompt: 'x [[fault:moderation_failed]]' }, 'Failure to pass the risk control system'],
    ['480p', { prompt: 'x', settings: { resolution: '480p' } }, "video resolution value '480p' is invalid"],
  ] as const;
  test.each(failures)('%s', async (_name, body, reason) => {
    const client = await openSandbox();
    const id = await createStandard(client, body);
    const task = await ended(client, id);
    expect(task).toMatchObject({ status: 'failed', message: reason, outputs: [] });
    expect(task.billing).toEqual([{ charge_type: 'unit', amount: '0', package_type: 'video' }]);
  });
});

test('a path that the gateway does not know gets Spring’s body, a known one with a wrong method gets 1202', async () => {
  const client = await openSandbox();
  const unknown = await client.get('/v2/videos?x=1');
  expect(unknown.status).toBe(404);
  expect(Object.keys(unknown.body)).toEqual(['timestamp', 'status', 'error', 'message', 'path']);
  expect(unknown.body).toMatchObject({ status: 404, error: 'Not Found', path: '/v2/videos' });
  for (const [method, path] of [
    ['DELETE', '/tasks'],
    ['PUT', legacyPath],
    ['GET', '/text-to-video/kling-3.0'],
    ['POST', `${legacyPath}/1`],
    ['POST', '/account/costs'],
  ] as const) {
    expect(await client.send(method, path), `${method} ${path}`).toMatchObject({ status: 404, body: { code: 1202 } });
  }
});
