import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Clock } from '../kernel/clock.ts';
import { AccountNotConfiguredError } from './account-not-configured-error.ts';
import type { PinnedCall } from './kling-api.ts';
import {
  accessKey,
  apiKey,
  legacyTask,
  ok,
  options,
  pathsOf,
  refuse,
  secretKey,
  setUp,
  standardTask,
} from '../../test/support/raw-kling.ts';
import { jsonAnswer, textAnswer } from '../../test/support/raw-server.ts';

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
  await expect(kling.listPacks('old', options)).rejects.toThrow(AccountNotConfiguredError);
  expect(server.requests).toHaveLength(0);
});
