import { createHmac } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { createCallbackUrls } from '../kling/callback-url.ts';
import { parseCallback } from '../kling/callback-hint.ts';
import { createLogger } from '../monitoring/log.ts';
import { createCallbackReceiver } from './receiver.ts';

const urls = createCallbackUrls({ baseUrl: 'https://hooks.example.com', secret: new Secret('a secret of ours') });
const path = new URL(urls.urlFor('att_1') ?? '').pathname;
const final = { task_id: '7', task_status: 'succeed', task_info: {}, task_result: { videos: [] } };
const whsec = `whsec_${Buffer.from('testsecrettestsecrettest').toString('base64')}`;

let app: FastifyInstance;

afterEach(() => app.close());

function start(secrets: readonly string[] = []): { readonly hints: string[] } {
  const hints: string[] = [];
  app = createCallbackReceiver({
    urls,
    kling: { parseCallback },
    secrets: secrets.map((secret) => new Secret(secret)),
    hint: async (attemptId) => hints.push(attemptId) > 0,
    clock: systemClock,
    log: createLogger({ level: 'silent', format: 'json' }),
  });
  return { hints };
}

function sign(body: string, secret: string, ageSeconds = 0): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000) - ageSeconds);
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`id-1.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': 'id-1', 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  });
  expect(answer.body).toBe(answer.statusCode === 200 ? 'ok' : ''); // refusals say nothing
  return answer.statusCode;
}

test('the end of a task, in either generation, makes its attempt worth a look', async () => {
  const { hints } = start();
  expect(await post(path, final)).toBe(200);
  expect(await post(path, { id: '7', status: 'succeeded', outputs: [] })).toBe(200);
  expect(await post(path, { id: '7', status: 'failed', outputs: [] })).toBe(200);
  expect(hints).toEqual(['att_1', 'att_1', 'att_1']);
});

test('intermediate states are taken and change nothing', async () => {
  const { hints } = start();
  expect(await post(path, { ...final, task_status: 'submitted' })).toBe(200);
  expect(await post(path, { id: '7', status: 'processing', outputs: [] })).toBe(200);
  expect(hints).toEqual([]);
});

test('a path that we did not give out is unknown, whatever its body says', async () => {
  const { hints } = start();
  for (const url of [
    path.replace('att_1', 'att_2'),
    `${path.slice(0, -1)}${path.endsWith('A') ? 'B' : 'A'}`,
    path.slice(0, -1),
    `${path}/`,
    '/callbacks/kling/att_1/',
    '/callbacks/kling/%zz/x',
    '/',
  ]) {
    expect(await post(url, final), url).toBe(404);
  }
  expect(hints).toEqual([]);
});

test('with a webhook secret only fresh callbacks that it signed count; during a rotation the old one counts too', async () => {
  const old = `whsec_${Buffer.from('an older secret, still valid').toString('base64')}`;
  const { hints } = start([whsec, old]);
  const body = JSON.stringify(final);
  expect(await post(path, body)).toBe(401);
  expect(await post(path, body, sign(`${body} `, whsec))).toBe(401);
  expect(await post(path, body, sign(body, whsec, 400))).toBe(401);
  expect(await post(path, body, sign(body, `whsec_${Buffer.alloc(24).toString('base64')}`))).toBe(401);
  expect(hints).toEqual([]);
  expect(await post(path, body, sign(body, whsec))).toBe(200);
  expect(await post(path, body, sign(body, old))).toBe(200);
  expect(hints).toEqual(['att_1', 'att_1']);
});

test('the signature is checked over the bytes as they came', async () => {
  const { hints } = start([whsec]);
  const spaced = `{ "id": "7",\n "status":"succeeded", "outputs": [] }`;
  expect(await post(path, spaced, sign(spaced, whsec))).toBe(200);
  expect(hints).toEqual(['att_1']);
});

test('bodies that are no callback or too large are refused before anything is recorded', async () => {
  const { hints } = start();
  expect(await post(path, 'not json')).toBe(400);
  expect(await post(path, '[]')).toBe(400);
  expect(await post(path, '')).toBe(400);
  expect(await post(path, { ...final, task_status_msg: 'x'.repeat(300 * 1024) })).toBe(413);
  expect(hints).toEqual([]);
});

test('nothing else is served but the health of the process', async () => {
  start();
  expect((await app.inject('/healthz')).statusCode).toBe(200);
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS'] as const) {
    expect((await app.inject({ method, url: path })).statusCode).toBe(404);
  }
});
