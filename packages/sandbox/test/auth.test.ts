import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { sandboxAccessKey, sandboxApiKey, sandboxSecretKey } from '../src/index.ts';
import { legacyPath, openSandbox } from './harness.ts';

const now = () => Math.floor(Date.now() / 1000);

function jwt(claims: object = {}, secret = sandboxSecretKey): Promise<string> {
  return new SignJWT({ iss: sandboxAccessKey, exp: now() + 1800, nbf: now() - 5, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret));
}

const late = { exp: now() - 10 };
const early = { nbf: now() + 600 };

const refusals: [string, string, () => Promise<string> | string, number][] = [
  ['no header', legacyPath, () => '', 1001],
  ['an empty token', legacyPath, () => 'Bearer ', 1001],
  ['another scheme', legacyPath, () => `Basic ${sandboxApiKey}`, 1002],
  ['neither key nor JWT', legacyPath, () => 'Bearer nonsense', 1002],
  ['a token of four parts', legacyPath, () => 'Bearer a.b.c.d', 1002],
  ['three parts that are no JWT', legacyPath, () => 'Bearer a.b.c', 1002],
  ['an unknown API key', legacyPath, () => 'Bearer api-key-kling-of-nobody', 1000],
  ['a JWT not valid yet', legacyPath, async () => `Bearer ${await jwt(early)}`, 1003],
  ['a JWT that has expired', legacyPath, async () => `Bearer ${await jwt(late)}`, 1004],
  ['a JWT both early and late', legacyPath, async () => `Bearer ${await jwt({ ...early, ...late })}`, 1003],
  ['a JWT of an unknown AccessKey', legacyPath, async () => `Bearer ${await jwt({ iss: 'nobody' })}`, 1000],
  ['a JWT with a wrong signature', legacyPath, async () => `Bearer ${await jwt({}, 'another-secret')}`, 1000],
  ['an expired JWT on a new path', '/tasks', async () => `Bearer ${await jwt(late)}`, 1004],
  ['a JWT on GET /tasks', '/tasks', async () => `Bearer ${await jwt()}`, 1002],
  ['a JWT on a new create path', '/text-to-video/kling-3.0', async () => `Bearer ${await jwt()}`, 1002],
];

test.each(refusals)('%s on %s is refused', async (_name, path, header, code) => {
  const client = await openSandbox();
  const answer = await client.get(path, { authorization: await header() });
  expect(answer).toMatchObject({ status: 401, body: { code } });
});

test('the texts of 1001 and 1002 are the observed ones', async () => {
  const client = await openSandbox();
  const message = async (authorization: string, path = legacyPath) =>
    (await client.get(path, { authorization })).body.message;
  expect(await message('')).toBe('Authorization is empty');
  expect(await message('Bearer nonsense')).toMatch(/expected to have 3 parts, but got 0/);
  expect(await message(`Bearer ${await jwt()}`, '/tasks')).toMatch(/does not support AK\/SK.*api-key/);
});

describe('what each credential reaches', () => {
  const reach = [
    ['API key', () => sandboxApiKey, ['/tasks?task_ids=1', legacyPath, '/account/costs?start_time=1&end_time=2']],
    ['JWT', jwt, [legacyPath, '/account/costs?start_time=1&end_time=2']],
  ] as const;
  test.each(reach)('%s', async (_name, token, paths) => {
    const client = await openSandbox();
    for (const path of paths) {
      expect(await client.get(path, { authorization: `Bearer ${await token()}` }), path).toMatchObject({ status: 200 });
    }
  });
});

test('credentials are checked before path, method and body', async () => {
  const client = await openSandbox();
  const headers = { authorization: '' };
  expect(await client.send('GET', '/nowhere', { headers })).toMatchObject({ status: 401 });
  expect(await client.send('DELETE', '/tasks', { headers })).toMatchObject({ status: 401 });
  expect(await client.send('POST', legacyPath, { headers, body: '{' })).toMatchObject({ status: 401 });
});

test('accounts do not see each other', async () => {
  const client = await openSandbox({
    accounts: [
      { id: 'a', apiKey: 'api-key-kling-a' },
      { id: 'b', apiKey: 'api-key-kling-b' },
    ],
  });
  const a = { authorization: 'Bearer api-key-kling-a' };
  const b = { authorization: 'Bearer api-key-kling-b' };
  const body = { model_name: 'kling-v2-6', prompt: 'fox', external_task_id: 'same' };
  const { task_id: id } = (await client.post(legacyPath, body, a)).body.data;
  expect((await client.get(`${legacyPath}/${id}`, b)).body.code).toBe(1201);
  expect((await client.get(`/tasks?task_ids=${id}`, b)).body.data).toEqual([]);
  expect((await client.get(legacyPath, b)).body.data).toEqual([]);
  expect((await client.post(legacyPath, body, b)).body.code).toBe(0);
});
