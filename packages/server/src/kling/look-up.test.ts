import { expect, test } from 'vitest';
import {
  legacyTask,
  notFound,
  ok,
  options,
  pathsOf,
  refuse,
  setUp,
  standardTask,
} from '../../test/support/raw-kling.ts';
import { jsonAnswer, textAnswer } from '../../test/support/raw-server.ts';

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

test('tasks that need a missing API key are unknown, and do not stand in the way of the others', async () => {
  const { server, kling, reference } = await setUp('pair', (_request, socket) =>
    socket.write(ok(legacyTask('9', 'att_1'))),
  );
  const references = [reference({ generation: 'standard', externalTaskId: 'att_2' }), reference()];
  expect(await kling.getTasks(references, options)).toMatchObject([
    { kind: 'unknown', failure: { neverSent: true, message: expect.stringContaining('API key') } },
    { kind: 'found', report: { taskId: '9' } },
  ]);
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
