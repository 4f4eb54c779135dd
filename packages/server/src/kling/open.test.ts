import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Clock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { AccountNotConfiguredError } from './account-not-configured-error.ts';
import type { CallOptions, KlingAccount, PinnedCall, TaskReference } from './kling-api.ts';
import { createKlingApi } from './open.ts';
import { jsonAnswer, startRawServer, textAnswer } from './raw-server.ts';
import type { RawAnswer, RawRequest } from './raw-server.ts';

const apiKey = 'api-key-kling-0123456789abcdef';
const accessKey = 'ACCESSKEYaccesskeyACCESSKEY01234';
const secretKey = 'secretkeySECRETKEYsecretkey56789';
const signal = new AbortController().signal;
const options: CallOptions = { signal, timeoutMs: 5_000 };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function setUp(credentials: 'key' | 'pair', answer: RawAnswer, clock: Clock = systemClock) {
  const server = await startRawServer(answer);
  const lines: object[] = [];
  const skews: object[] = [];
  const pair = { apiKey: null, accessKey: new Secret(accessKey), secretKey: new Secret(secretKey) };
  const key = { apiKey: new Secret(apiKey), accessKey: null, secretKey: null };
  const account: KlingAccount = { id: 'main', host: server.origin, ...(credentials === 'key' ? key : pair) };
  const kling = createKlingApi({
    accounts: [account],
    clock,
    log: (line) => lines.push(line),
    onSkew: (skew) => skews.push(skew),
  });
  cleanups.push(
    () => kling.close(),
    () => server.close(),
  );
  const call: PinnedCall = {
    accountId: 'main',
    host: server.origin,
    generation: 'legacy',
    path: '/v1/videos/text2video',
    body: { model_name: 'kling-v2-6', prompt: 'a fox', external_task_id: 'att_1' },
  };
  const reference = (changes: Partial<TaskReference> = {}): TaskReference => ({
    accountId: 'main',
    host: server.origin,
    generation: 'legacy',
    path: '/v1/videos/text2video',
    externalTaskId: 'att_1',
    taskId: null,
    ...changes,
  });
  return { server, kling, lines, skews, call, reference };
}

const ok = (data: unknown): string => jsonAnswer(200, { code: 0, message: 'SUCCEED', request_id: 'r-1', data });
const refuse = (status: number, code: number, message: string, headers: readonly string[] = []): string =>
  jsonAnswer(status, { code, message, request_id: 'r-2' }, headers);
const notFound = refuse(400, 1201, 'Task not found by id/external id: att_1');
const legacyTask = (taskId: string, externalTaskId: string | null = null, createdAtMs = 1_789_000_000_000) => ({
  task_id: taskId,
  task_status: 'processing',
  task_status_msg: '',
  task_info: externalTaskId === null ? {} : { external_task_id: externalTaskId },
  task_result: {},
  created_at: createdAtMs,
  updated_at: createdAtMs,
  something_new: [1, 2],
});
const standardTask = (id: string, externalId: string, createdAtMs = 1_789_000_000_000) => ({
  id,
  status: 'processing',
  message: '',
  external_id: externalId,
  create_time: createdAtMs,
  update_time: createdAtMs,
  outputs: [],
  something_new: {},
});
const pathsOf = (requests: readonly RawRequest[]): string[] => requests.map(({ method, path }) => `${method} ${path}`);

test('a create is one POST of exactly the pinned body', async () => {
  const { server, kling, call } = await setUp('key', (_request, socket) =>
    socket.write(ok(legacyTask('900000000000000001'))),
  );
  expect(await kling.createTask(call, options)).toEqual({
    kind: 'accepted',
    taskId: '900000000000000001',
    requestId: 'r-1',
  });
  expect(pathsOf(server.requests)).toEqual(['POST /v1/videos/text2video']);
  expect(server.requests[0]!.headers).toMatchObject({
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
  });
  expect(JSON.parse(server.requests[0]!.body)).toEqual(call.body);
});

test('a create of the new standard reads its own answer', async () => {
  const { kling, call } = await setUp('key', (_request, socket) => socket.write(ok(standardTask('9', 'att_1'))));
  const standard: PinnedCall = { ...call, generation: 'standard', path: '/text-to-video/kling-2.6' };
  expect(await kling.createTask(standard, options)).toMatchObject({ kind: 'accepted', taskId: '9' });
});

const cut = 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"code":0,"data":{"task_id":"9"';
test.each([
  ['an HTML 502', textAnswer(502, '<html>Bad Gateway</html>'), { httpStatus: 502, code: null, reaction: 'doubt' }],
  ['an HTML 200', textAnswer(200, '<html>hello</html>'), { httpStatus: 200, code: null, reaction: 'doubt' }],
  ['an empty 200', textAnswer(200, ''), { httpStatus: 200, code: null, reaction: 'doubt' }],
  ['JSON that is no object', jsonAnswer(200, null), { code: null, reaction: 'doubt' }],
  ['success without data', jsonAnswer(200, { code: 0, message: 'SUCCEED' }), { code: 0, reaction: 'doubt' }],
  [
    'success with a numeric id',
    textAnswer(200, '{"code":0,"data":{"task_id":900000000000000001}}'),
    { reaction: 'doubt' },
  ],
  ['success with a list', ok([legacyTask('9')]), { reaction: 'doubt' }],
  ['success with a bad status', jsonAnswer(500, { code: 0, data: legacyTask('9') }), { reaction: 'doubt' }],
  ['an answer cut in the middle', cut, { httpStatus: null, reaction: 'doubt', neverSent: false }],
  ['no HTTP at all', 'SMTP ready\r\n\r\n', { httpStatus: null, reaction: 'doubt', neverSent: false }],
  ['nothing', '', { httpStatus: null, reaction: 'doubt', neverSent: false }],
  ['5002', refuse(504, 5002, 'timeout'), { httpStatus: 504, code: 5002, requestId: 'r-2', reaction: 'doubt' }],
  ['1303', refuse(429, 1303, 'parallel task over resource pack limit'), { code: 1303, reaction: 'back_off_pool' }],
  [
    '1302',
    refuse(429, 1302, 'slow', ['Retry-After: 7']),
    { code: 1302, retryAfterMs: 7_000, reaction: 'slow_account' },
  ],
  ['a Spring 404', jsonAnswer(404, { status: 404, error: 'Not Found' }), { code: null, reaction: 'pause_pool' }],
  ['a repeated id', refuse(400, 1201, 'External_task_id att_1 already exists'), { reaction: 'already_exists' }],
  ['a token refused', refuse(401, 1004, 'expired'), { code: 1004, reaction: 'pause_account' }],
])('%s to a create with an API key is one POST and its reaction', async (_what, answer, failure) => {
  const { server, kling, call } = await setUp('key', (_request, socket) => socket.end(answer));
  expect(await kling.createTask(call, options)).toMatchObject({ kind: 'failed', failure });
  expect(server.requests).toHaveLength(1);
});

test('a create that cannot leave says so', async () => {
  const { server, kling, call } = await setUp('key', (_request, socket) => socket.destroy());
  await server.close();
  const answer = await kling.createTask(call, options);
  expect(answer).toMatchObject({ kind: 'failed', failure: { neverSent: true, reaction: 'doubt', httpStatus: null } });
});

test('a pair signs HS256 with iss, exp and nbf only, and keeps the token', async () => {
  const { server, kling, call } = await setUp('pair', (_request, socket) => socket.write(ok(legacyTask('9'))));
  await kling.createTask(call, options);
  await kling.createTask(call, options);
  const tokens = server.requests.map(({ headers }) => headers['authorization']!.slice('Bearer '.length));
  expect(tokens[0]).toBe(tokens[1]);
  expect(decodeProtectedHeader(tokens[0]!)).toEqual({ alg: 'HS256', typ: 'JWT' });
  const { payload } = await jwtVerify(tokens[0]!, new TextEncoder().encode(secretKey));
  expect(Object.keys(payload).toSorted()).toEqual(['exp', 'iss', 'nbf']);
  expect(payload.iss).toBe(accessKey);
  expect(payload.exp! - payload.nbf!).toBe(1805);
  expect(Math.abs(payload.nbf! + 5 - Date.now() / 1000)).toBeLessThan(10);
});

test('a token is signed again before it ends', async () => {
  let nowMs = Date.now();
  const clock: Clock = { monotonicMs: () => systemClock.monotonicMs(), wallMs: () => nowMs };
  const { server, kling, call } = await setUp('pair', (_request, socket) => socket.write(ok(legacyTask('9'))), clock);
  await kling.createTask(call, options);
  nowMs += 26 * 60_000;
  await kling.createTask(call, options);
  const [first, second] = server.requests.map(({ headers }) => decodeJwt(headers['authorization']!.slice(7)));
  expect(second!.exp! - first!.exp!).toBe(26 * 60);
});

test.each([1003, 1004])('after %i the create is signed with the time of Kling and sent once more', async (code) => {
  const aheadMs = code === 1003 ? -600_000 : 3_600_000;
  const date = `Date: ${new Date(Date.now() + aheadMs).toUTCString()}`;
  const { server, kling, call, skews } = await setUp('pair', (_request, socket, index) =>
    socket.write(index === 0 ? refuse(401, code, 'token', [date]) : ok(legacyTask('9'))),
  );
  expect(await kling.createTask(call, options)).toMatchObject({ kind: 'accepted' });
  expect(pathsOf(server.requests)).toEqual(['POST /v1/videos/text2video', 'POST /v1/videos/text2video']);
  expect(server.requests[0]!.body).toBe(server.requests[1]!.body);
  const [first, second] = server.requests.map(({ headers }) => decodeJwt(headers['authorization']!.slice(7)));
  expect(Math.abs(second!.nbf! - first!.nbf! - aheadMs / 1000)).toBeLessThan(5);
  expect(skews).toEqual([{ accountId: 'main', skewMs: expect.closeTo(aheadMs, -4) }]);
});

test('a token that is refused again is not sent a third time', async () => {
  const { server, kling, call } = await setUp('pair', (_request, socket) => socket.write(refuse(401, 1003, 'not yet')));
  expect(await kling.createTask(call, options)).toMatchObject({
    kind: 'failed',
    failure: { reaction: 'pause_account' },
  });
  expect(server.requests).toHaveLength(2);
});

test('an unclear answer after the re-sign is in doubt and not sent again', async () => {
  const { server, kling, call } = await setUp('pair', (_request, socket, index) => {
    if (index === 0) socket.write(refuse(401, 1004, 'expired'));
    else socket.destroy();
  });
  expect(await kling.createTask(call, options)).toMatchObject({
    kind: 'failed',
    failure: { reaction: 'doubt', neverSent: false },
  });
  expect(server.requests).toHaveLength(2);
});

test('no secret and no address reaches a log or a failure, whatever Kling echoes', async () => {
  const { server, kling, lines, call, reference } = await setUp('pair', (request, socket) => {
    const message = `bad ${request.headers['authorization']} ${accessKey} ${secretKey} ${apiKey} https://a.b/cb/proof?Signature=s`;
    socket.write(refuse(400, 1201, message));
  });
  const answers = [await kling.createTask(call, options), ...(await kling.getTasks([reference()], options))];
  const token = server.requests[0]!.headers['authorization']!.slice('Bearer '.length);
  const text = JSON.stringify({ answers, lines });
  expect(answers[0]).toMatchObject({ kind: 'failed', failure: { message: expect.stringContaining('[redacted]') } });
  for (const secret of [token, accessKey, secretKey, apiKey, 'Signature', 'a.b/cb', 'a fox'])
    expect(text).not.toContain(secret);
  expect(lines).toMatchObject([
    {
      event: 'kling_call',
      accountId: 'main',
      method: 'POST',
      path: call.path,
      httpStatus: 400,
      code: 1201,
      requestId: 'r-2',
    },
    { event: 'kling_call', method: 'GET' },
  ]);
});

test('an account that is not configured is an error of its own', async () => {
  const { server, kling, call, reference } = await setUp('pair', (_request, socket) => socket.destroy());
  const unknown = { accountId: 'old' };
  await expect(kling.createTask({ ...call, ...unknown }, options)).rejects.toThrow(AccountNotConfiguredError);
  await expect(kling.createTask({ ...call, generation: 'standard' }, options)).rejects.toThrow(/has no API key/);
  await expect(kling.getTasks([reference(unknown)], options)).rejects.toThrow(AccountNotConfiguredError);
  await expect(kling.getTasks([reference({ generation: 'standard' })], options)).rejects.toThrow(
    AccountNotConfiguredError,
  );
  await expect(kling.listPacks('old', options)).rejects.toThrow(AccountNotConfiguredError);
  expect(server.requests).toHaveLength(0);
});

test('reads are repeated while Kling says nothing, twice', async () => {
  const answers = [textAnswer(502, '<html>'), refuse(500, 5000, 'error'), ok(legacyTask('9', 'att_1'))];
  const { server, kling, reference } = await setUp('pair', (_request, socket, index) => socket.write(answers[index]!));
  expect(await kling.getTasks([reference()], options)).toMatchObject([{ kind: 'found', report: { taskId: '9' } }]);
  expect(server.requests).toHaveLength(3);
});

test('reads are not repeated when Kling refused them, nor for ever', async () => {
  const refused = await setUp('pair', (_request, socket) => socket.write(refuse(429, 1302, 'slow down')));
  expect(await refused.kling.getTasks([refused.reference()], options)).toMatchObject([
    { kind: 'unknown', failure: { code: 1302, reaction: 'slow_account' } },
  ]);
  expect(refused.server.requests).toHaveLength(1);
  const broken = await setUp('pair', (_request, socket) => socket.destroy());
  expect(await broken.kling.getTasks([broken.reference()], options)).toMatchObject([{ kind: 'unknown' }]);
  expect(broken.server.requests).toHaveLength(3);
});

test('legacy: one task is one GET by its own id, else by ours', async () => {
  const { server, kling, reference } = await setUp('pair', (request, socket) =>
    socket.write(request.path.endsWith('/9') ? ok(legacyTask('9')) : notFound),
  );
  expect(await kling.getTasks([reference({ taskId: '9' })], options)).toMatchObject([
    { kind: 'found', report: { taskId: '9' } },
  ]);
  expect(await kling.getTasks([reference()], options)).toEqual([{ kind: 'not_found' }]);
  expect(pathsOf(server.requests)).toEqual(['GET /v1/videos/text2video/9', 'GET /v1/videos/text2video/att_1']);
});

test.each([
  ['another text', refuse(400, 1201, 'invalid')],
  ['another code', refuse(400, 1203, 'Task not found by id/external id: att_1')],
  ['another status', refuse(404, 1201, 'Task not found by id/external id: att_1')],
  ['an HTML 404', textAnswer(404, '<html>')],
  ['success without data', jsonAnswer(200, { code: 0, message: 'SUCCEED' })],
  ['another task', ok(legacyTask('9', 'att_2'))],
  ['a numeric id', textAnswer(200, '{"code":0,"data":{"task_id":9,"task_status":"succeed"}}')],
])('legacy: %s is not "not found"', async (_what, answer) => {
  const { kling, reference } = await setUp('pair', (_request, socket) => socket.write(answer));
  expect(await kling.getTasks([reference()], options)).toMatchObject([{ kind: 'unknown' }]);
});

test('legacy: several tasks are one list page; what is missing there is asked singly', async () => {
  const { server, kling, reference } = await setUp('pair', (request, socket) => {
    if (request.path.includes('pageSize'))
      socket.write(ok([legacyTask('3', 'att_3'), legacyTask('1', 'att_1'), { odd: true }]));
    else if (request.path.endsWith('/att_2')) socket.write(ok(legacyTask('2')));
    else socket.write(notFound);
  });
  const references = ['att_1', 'att_2', 'att_3', 'att_4'].map((externalTaskId) => reference({ externalTaskId }));
  expect(await kling.getTasks(references, options)).toMatchObject([
    { kind: 'found', report: { taskId: '1' } },
    { kind: 'found', report: { taskId: '2' } },
    { kind: 'found', report: { taskId: '3' } },
    { kind: 'not_found' },
  ]);
  expect(pathsOf(server.requests)).toEqual([
    'GET /v1/videos/text2video?pageNum=1&pageSize=30',
    'GET /v1/videos/text2video/att_2',
    'GET /v1/videos/text2video/att_4',
  ]);
});

test('legacy: a list page that Kling refuses is not followed by a call per task', async () => {
  const { server, kling, reference } = await setUp('pair', (_request, socket) =>
    socket.write(refuse(429, 1302, 'slow')),
  );
  const references = ['att_1', 'att_2', 'att_3'].map((externalTaskId) => reference({ externalTaskId }));
  const answers = await kling.getTasks(references, options);
  expect(answers.map((answer) => answer.kind)).toEqual(['unknown', 'unknown', 'unknown']);
  expect(server.requests).toHaveLength(1);
});

test('standard: 45 tasks are three calls of at most 20 ids, and a missing id is not found', async () => {
  const { server, kling, reference } = await setUp('key', (request, socket) => {
    const ids = new URL(request.path, 'http://x').searchParams.get('task_ids')!.split(',');
    expect(ids.length).toBeLessThanOrEqual(20);
    socket.write(
      ok(
        ids
          .filter((id) => id !== '17')
          .map((id) => standardTask(id, `att_${id}`))
          .toReversed(),
      ),
    );
  });
  const references = Array.from({ length: 45 }, (_, index) =>
    reference({ generation: 'standard', taskId: String(index) }),
  );
  const answers = await kling.getTasks(references, options);
  expect(server.requests).toHaveLength(3);
  expect(answers.map((answer) => (answer.kind === 'found' ? answer.report.taskId : answer.kind))).toEqual(
    references.map(({ taskId }) => (taskId === '17' ? 'not_found' : taskId)),
  );
});

test('standard: a record that cannot be read makes absence unknown', async () => {
  const { kling, reference } = await setUp('key', (_request, socket) =>
    socket.write(
      textAnswer(200, '{"code":0,"data":[{"id":900000000000000001,"status":"succeeded","external_id":"att_1"}]}'),
    ),
  );
  expect(await kling.getTasks([reference({ generation: 'standard' })], options)).toMatchObject([
    { kind: 'unknown', failure: { reaction: 'doubt' } },
  ]);
});

test('standard: of two tasks with our id the older is ours, and the other is told', async () => {
  const { kling, lines, reference } = await setUp('key', (_request, socket) =>
    socket.write(ok([standardTask('2', 'att_1', 2_000), standardTask('1', 'att_1', 1_000)])),
  );
  expect(await kling.getTasks([reference({ generation: 'standard' })], options)).toMatchObject([
    { kind: 'found', report: { taskId: '1' } },
  ]);
  expect(lines).toContainEqual(expect.objectContaining({ event: 'kling_duplicate_task', externalTaskId: 'att_1' }));
});

test('an API key asks the new standard for both generations, and the legacy path before a legacy task is not found', async () => {
  const { server, kling, reference } = await setUp('key', (request, socket) => {
    if (request.path.startsWith('/tasks')) socket.write(ok([standardTask('1', 'att_1')]));
    else if (request.path.endsWith('/att_2')) socket.write(ok(legacyTask('2', 'att_2')));
    else socket.write(request.path.includes('pageSize') ? ok([]) : notFound);
  });
  const references = [
    reference(),
    reference({ externalTaskId: 'att_2' }),
    reference({ externalTaskId: 'att_3' }),
    reference({ externalTaskId: 'att_4', generation: 'standard' }),
  ];
  expect(await kling.getTasks(references, options)).toMatchObject([
    { kind: 'found', report: { taskId: '1' } },
    { kind: 'found', report: { taskId: '2' } },
    { kind: 'not_found' },
    { kind: 'not_found' },
  ]);
  expect(pathsOf(server.requests).slice(0, 2)).toEqual([
    'GET /tasks?external_task_ids=att_1,att_2,att_3,att_4',
    'GET /v1/videos/text2video?pageNum=1&pageSize=30',
  ]);
});

test('a host without the new standard is asked by the legacy path', async () => {
  const { kling, reference } = await setUp('key', (request, socket) =>
    socket.write(request.path.startsWith('/tasks') ? textAnswer(404, '<html>') : ok(legacyTask('9', 'att_1'))),
  );
  expect(await kling.getTasks([reference()], options)).toMatchObject([{ kind: 'found' }]);
});

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('an API key walks the cursor to its end', async () => {
  const pages = [
    { result: [standardTask('2', 'att_2')], count: 1, next_cursor: 'c1', has_more: true },
    { result: [{ odd: 1 }, standardTask('1', 'att_1')], count: 1, next_cursor: '', has_more: false },
  ];
  const { server, kling } = await setUp('key', (_request, socket, index) => socket.write(ok(pages[index])));
  const tasks = await collect(kling.listTasks('main', { fromMs: 1_000, toMs: 2_000 }, options));
  expect(tasks.map(({ taskId }) => taskId)).toEqual(['2', '1']);
  expect(server.requests.map(({ body }) => JSON.parse(body))).toMatchObject([
    { start_time: 1_000, end_time: 2_000, limit: 500 },
    { cursor: 'c1', limit: 500 },
  ]);
});

test('a walk that cannot be completed fails instead of ending early', async () => {
  const cases: readonly (readonly ['key' | 'pair', string])[] = [
    ['key', refuse(429, 1302, 'slow')],
    ['key', ok({ result: [], next_cursor: 'same', has_more: true })],
    ['key', ok({ result: [], has_more: true })],
    ['key', ok([])],
    ['pair', ok({})],
  ];
  for (const [credentials, answer] of cases) {
    const { kling } = await setUp(credentials, (_request, socket) => socket.write(answer));
    const walk = collect(kling.listTasks('main', { fromMs: 0, toMs: 1 }, options));
    await expect(walk).rejects.toMatchObject({ code: 'unavailable' });
  }
});

test('a pair walks list pages until one is older than the span', async () => {
  const page = (from: number, createdAtMs: number) =>
    ok(Array.from({ length: 500 }, (_, index) => legacyTask(String(from + index), null, createdAtMs)));
  const pages = [page(0, 9_000), page(500, 5_000), page(1_000, 500), page(1_500, 100)];
  const { server, kling } = await setUp('pair', (_request, socket, index) => socket.write(pages[index]!));
  const tasks = await collect(kling.listTasks('main', { fromMs: 1_000, toMs: 6_000 }, options));
  expect(tasks).toHaveLength(500);
  expect(tasks[0]!.taskId).toBe('500');
  expect(pathsOf(server.requests)).toEqual(
    [1, 2, 3].map((pageNum) => `GET /v1/videos/text2video?pageNum=${pageNum}&pageSize=500`),
  );
});

test('packs tell their concurrency and type', async () => {
  const info = (name: string, remaining: unknown) => ({
    resource_pack_name: name,
    resource_pack_type: 'decreasing_total',
    remaining_quantity: remaining,
    status: 'online',
  });
  const { server, kling } = await setUp('pair', (_request, socket) =>
    socket.write(
      ok({
        code: 0,
        msg: 'ok',
        resource_pack_subscribe_infos: [
          info('Trial-Video-100Units-5Con-1Months', 97.5),
          info('Trial-Image-1000Units-9Con-1Months', '1000'),
          info('Gift', null),
          { odd: true },
        ],
      }),
    ),
  );
  expect(await kling.listPacks('main', options)).toEqual([
    { name: 'Trial-Video-100Units-5Con-1Months', status: 'online', concurrency: 5, type: 'video', remaining: 97.5 },
    { name: 'Trial-Image-1000Units-9Con-1Months', status: 'online', concurrency: 9, type: 'image', remaining: 1000 },
    { name: 'Gift', status: 'online', concurrency: null, type: 'unknown', remaining: null },
  ]);
  const query = new URL(server.requests[0]!.path, 'http://x').searchParams;
  expect(Number(query.get('end_time')) - Number(query.get('start_time'))).toBe(30 * 24 * 3_600_000);
});

test('packs that Kling does not show are an error', async () => {
  for (const answer of [refuse(429, 1302, 'slow'), ok({ code: 1200, msg: 'no' }), ok(null)]) {
    const { kling } = await setUp('key', (_request, socket) => socket.write(answer));
    await expect(kling.listPacks('main', options)).rejects.toMatchObject({ code: 'unavailable' });
  }
});
