import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { sandboxAccessKey, sandboxApiKey, sandboxSecretKey, startSandbox } from '@dailies/sandbox';
import type { Sandbox, SandboxOptions } from '@dailies/sandbox';
import { afterEach, describe, expect, test } from 'vitest';
import type { Generation } from '../src/catalog/request.ts';
import type { Clock } from '../src/kernel/clock.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { createCallbackUrls } from '../src/kling/callback-url.ts';
import type {
  CallOptions,
  KlingAccount,
  KlingApi,
  LookAnswer,
  PinnedCall,
  TaskReference,
  TaskReport,
} from '../src/kling/kling-api.ts';
import { describeFailure, describeTaskFailure } from '../src/kling/describe-failure.ts';
import { createKlingApi } from '../src/kling/open.ts';
import { verifyWebhookSignature } from '../src/kling/webhook-signature.ts';

const options: CallOptions = { signal: new AbortController().signal, timeoutMs: 20_000 };
const apiKey = new Secret(sandboxApiKey);
const pair = { accessKey: new Secret(sandboxAccessKey), secretKey: new Secret(sandboxSecretKey) };
const noCredentials = { apiKey: null, accessKey: null, secretKey: null };

const roads = [
  { road: 'standard by API key', generation: 'standard', credentials: { ...noCredentials, apiKey } },
  { road: 'legacy by API key', generation: 'legacy', credentials: { ...noCredentials, apiKey } },
  { road: 'legacy by AK/SK', generation: 'legacy', credentials: { ...noCredentials, ...pair } },
] as const satisfies { road: string; generation: Generation; credentials: Omit<KlingAccount, 'id' | 'host'> }[];

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Road {
  readonly generation: Generation;
  readonly credentials: Omit<KlingAccount, 'id' | 'host'>;
}

interface Order {
  readonly prompt?: string;
  readonly externalTaskId: string;
  readonly callbackUrl?: string;
  readonly model?: string;
}

async function setUp({ generation, credentials }: Road, settings: SandboxOptions = {}, clock: Clock = systemClock) {
  const sandbox = await startSandbox({ files: 'tiny', taskMs: 60, ...settings });
  const skews: object[] = [];
  const lines: object[] = [];
  const account: KlingAccount = { id: 'main', host: sandbox.url, ...credentials };
  const kling = createKlingApi({
    accounts: [account],
    clock,
    log: (line) => lines.push(line),
    onSkew: (skew) => skews.push(skew),
  });
  cleanups.push(
    () => sandbox.close(),
    () => kling.close(),
  );
  const create = (order: Order) => kling.createTask(pinnedCall(sandbox, generation, order), options);
  const reference = (externalTaskId: string, taskId: string | null = null): TaskReference => ({
    ...pinnedCall(sandbox, generation, { externalTaskId }),
    externalTaskId,
    taskId,
  });
  return { sandbox, kling, create, reference, skews, lines };
}

function pinnedCall(sandbox: Sandbox, generation: Generation, order: Order): PinnedCall {
  const { prompt = 'a red fox in snow', externalTaskId, callbackUrl, model } = order;
  const shared = { external_task_id: externalTaskId, ...(callbackUrl && { callback_url: callbackUrl }) };
  const target = { accountId: 'main', host: sandbox.url, generation };
  if (generation === 'legacy') {
    const body = { model_name: model ?? 'kling-v2-6', prompt, mode: 'pro', duration: '5', sound: 'off', ...shared };
    return { ...target, path: '/v1/videos/text2video', body };
  }
  const settings = { resolution: '1080p', aspect_ratio: '16:9', duration: 5, audio: 'off' };
  return { ...target, path: `/text-to-video/${model ?? 'kling-2.6'}`, body: { prompt, settings, options: shared } };
}

async function lookUntil(kling: KlingApi, reference: TaskReference, status: TaskReport['status']): Promise<TaskReport> {
  const endMs = Date.now() + 30_000;
  for (;;) {
    const [answer] = await kling.getTasks([reference], options);
    if (answer?.kind === 'found' && answer.report.status === status) return answer.report;
    if (Date.now() > endMs) throw new Error(`never ${status}; last answer ${JSON.stringify(answer)}`);
    await delay(20);
  }
}

const kindsOf = (answers: readonly LookAnswer[]): string[] => answers.map(({ kind }) => kind);

describe.each(roads)('$road', (road) => {
  test('a create becomes a video with its price, and its file can be fetched', async () => {
    const { sandbox, kling, create, reference } = await setUp(road);
    const answer = await create({ externalTaskId: 'att_1' });
    expect(answer).toMatchObject({
      kind: 'accepted',
      taskId: expect.stringMatching(/^\d{18}$/),
      requestId: expect.any(String),
    });
    const taskId = answer.kind === 'accepted' ? answer.taskId : null;
    const report = await lookUntil(kling, reference('att_1', taskId), 'succeeded');
    expect(report).toMatchObject({
      taskId,
      externalTaskId: 'att_1',
      message: '',
      deductedUnits: sandbox.stats().units_deducted,
    });
    expect(report.video).toMatchObject({ duration: '5.041', id: expect.stringMatching(/^\d{18}$/) });
    expect(report.video!.expiresAtMs! - report.updatedAtMs!).toBeGreaterThan(29 * 86_400_000);
    const file = await fetch(report.video!.url);
    expect(file.status).toBe(200);
    expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(500);
  });

  test('a repeated external id exists already and leads to the first task', async () => {
    const { sandbox, kling, create, reference } = await setUp(road);
    const first = await create({ externalTaskId: 'att_1' });
    expect(await create({ externalTaskId: 'att_1' })).toMatchObject({
      kind: 'failed',
      failure: { reaction: 'already_exists' },
    });
    expect(await kling.getTasks([reference('att_1')], options)).toMatchObject([
      { kind: 'found', report: { taskId: first.kind === 'accepted' && first.taskId, externalTaskId: 'att_1' } },
    ]);
    expect(sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
  });

  test('what was never created is not found, alone and among others', async () => {
    const { kling, create, reference } = await setUp(road);
    expect(kindsOf(await kling.getTasks([reference('att_0')], options))).toEqual(['not_found']);
    expect(kindsOf(await kling.getTasks([reference('att_0', '900000000000000001')], options))).toEqual(['not_found']);
    for (const externalTaskId of ['att_1', 'att_2']) await create({ externalTaskId });
    const references = ['att_2', 'att_0', 'att_1'].map((id) => reference(id));
    expect(kindsOf(await kling.getTasks(references, options))).toEqual(['found', 'not_found', 'found']);
  });

  test('45 tasks in flight are found in few calls', async () => {
    const { sandbox, kling, create, reference } = await setUp(road, { slots: 50, taskMs: 60_000 });
    const ids = Array.from({ length: 45 }, (_, index) => `att_${index}`);
    await Promise.all(ids.map((externalTaskId) => create({ externalTaskId })));
    const before = callsOf(sandbox);
    const answers = await kling.getTasks(
      ids.map((id) => reference(id)),
      options,
    );
    expect(answers.map((answer) => answer.kind === 'found' && answer.report.externalTaskId)).toEqual(ids);
    expect(callsOf(sandbox) - before).toBeLessThanOrEqual(3);
  });

  test.each([
    ['1302', { code: 1302, reaction: 'slow_account' }],
    ['1303', { code: 1303, reaction: 'back_off_pool' }],
    ['1102', { code: 1102, reaction: 'pause_pool' }],
    ['1101', { code: 1101, reaction: 'pause_account' }],
    ['1301', { code: 1301, reaction: 'fail_video' }],
    ['5000', { code: 5000, reaction: 'doubt' }],
    ['html_502', { httpStatus: 502, code: null, reaction: 'doubt' }],
    ['reset', { httpStatus: null, reaction: 'doubt', neverSent: false }],
  ])('fault %s: one POST, its reaction, and no task', async (fault, failure) => {
    const { sandbox, kling, create, reference } = await setUp(road);
    const answer = await create({ externalTaskId: 'att_1', prompt: `a fox [[fault:${fault}]]` });
    expect(answer).toMatchObject({ kind: 'failed', failure });
    expect(kindsOf(await kling.getTasks([reference('att_1')], options))).toEqual(['not_found']);
    expect(sandbox.stats()).toMatchObject({ creates_accepted: 0 });
    expect(await create({ externalTaskId: 'att_1' })).toMatchObject({ kind: 'accepted' });
  });

  test.each(['answer_lost', 'accepted_5002', 'accepted_html_502'])(
    'fault %s: in doubt, and the look-up finds the task',
    async (fault) => {
      const { sandbox, kling, create, reference } = await setUp(road);
      const answer = await create({ externalTaskId: 'att_1', prompt: `a fox [[fault:${fault}]]` });
      expect(answer).toMatchObject({ kind: 'failed', failure: { reaction: 'doubt', neverSent: false } });
      expect(await lookUntil(kling, reference('att_1'), 'succeeded')).toMatchObject({ externalTaskId: 'att_1' });
      expect(sandbox.stats()).toMatchObject({ creates_accepted: 1, max_creates_per_external_id: 1 });
    },
  );

  test('moderation after the create is the content, and costs nothing', async () => {
    const { kling, create, reference } = await setUp(road);
    await create({ externalTaskId: 'att_1', prompt: 'a fox [[fault:moderation_failed]]' });
    const report = await lookUntil(kling, reference('att_1'), 'failed');
    expect(describeTaskFailure(report.message)).toMatchObject({ code: 'content_policy' });
    expect(report).toMatchObject({ video: null, deductedUnits: road.credentials.apiKey ? '0' : null });
  });

  test('a status word that nobody knows is unknown', async () => {
    const { kling, create, reference } = await setUp(road, { taskMs: 1_000 });
    await create({ externalTaskId: 'att_1', prompt: 'a fox [[fault:unknown_status]]' });
    expect(await lookUntil(kling, reference('att_1'), 'unknown')).toMatchObject({
      statusWord: 'suspended',
      video: null,
    });
  });

  test('slots are full: 1303, and the same id is taken later', async () => {
    const { create } = await setUp(road, { slots: 1, taskMs: 60_000 });
    await create({ externalTaskId: 'att_1' });
    expect(await create({ externalTaskId: 'att_2' })).toMatchObject({
      failure: { code: 1303, reaction: 'back_off_pool' },
    });
  });

  test('the walk over the account shows every task, and the packs their concurrency', async () => {
    const { kling, create } = await setUp(road, { slots: 7, taskMs: 60_000 });
    for (const externalTaskId of ['att_1', 'att_2', 'att_3']) await create({ externalTaskId });
    const span = { fromMs: Date.now() - 60_000, toMs: Date.now() + 60_000 };
    const seen = new Set<string | null>();
    for await (const report of kling.listTasks('main', span, options)) seen.add(report.externalTaskId);
    expect(seen).toEqual(new Set(['att_1', 'att_2', 'att_3']));
    expect(await kling.listPacks('main', options)).toMatchObject([{ type: 'video', concurrency: 7, status: 'online' }]);
  });

  test('callbacks name the attempt, are signed, and tell when the task has ended', async () => {
    const secret = new Secret('whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=');
    const receiver = await startReceiver();
    const urls = createCallbackUrls({ baseUrl: receiver.url, secret: new Secret('a secret of ours') });
    const { kling, create } = await setUp(road, { webhookSecrets: [secret.reveal()] });
    await create({ externalTaskId: 'att_1', callbackUrl: urls.urlFor('att_1')! });
    const last = await receiver.until(({ body }) => kling.parseCallback(JSON.parse(body))?.final === true);
    expect(kling.parseCallback(JSON.parse(last.body))).toMatchObject({
      externalTaskId: 'att_1',
      taskId: expect.any(String),
    });
    expect(urls.read(last.path)).toBe('att_1');
    expect(verifyWebhookSignature(last, [secret], Date.now())).toBe(true);
    expect(verifyWebhookSignature({ ...last, body: `${last.body} ` }, [secret], Date.now())).toBe(false);
  });

  test('wrong credentials pause the account', async () => {
    const wrong = {
      apiKey: road.credentials.apiKey && new Secret('api-key-kling-wrong'),
      accessKey: road.credentials.accessKey,
      secretKey: road.credentials.secretKey && new Secret('a wrong secret key, long enough'),
    };
    const { create } = await setUp({ ...road, credentials: wrong });
    expect(await create({ externalTaskId: 'att_1' })).toMatchObject({
      failure: { httpStatus: 401, reaction: 'pause_account' },
    });
  });

  test('an unknown model is unavailable', async () => {
    const { create } = await setUp(road);
    const answer = await create({ externalTaskId: 'att_1', model: 'kling-9' });
    expect(answer).toMatchObject({ kind: 'failed', failure: { reaction: 'fail_video' } });
    const failure = answer.kind === 'failed' ? answer.failure : undefined;
    expect(describeFailure(failure!).code).toBe('model_unavailable');
  });
});

test.each([-3_600_000, 3_600_000])(
  'with our clock %i ms off, one re-sign is enough for all that follows',
  async (offsetMs) => {
    const clock: Clock = { monotonicMs: () => systemClock.monotonicMs(), wallMs: () => Date.now() + offsetMs };
    const { sandbox, create, skews, lines } = await setUp(roads[2], {}, clock);
    for (const externalTaskId of ['att_1', 'att_2', 'att_3']) {
      expect(await create({ externalTaskId })).toMatchObject({ kind: 'accepted' });
    }
    expect(skews).toHaveLength(1);
    expect(sandbox.stats()).toMatchObject({ creates_accepted: 3 });
    expect(lines.filter((line) => 'code' in line).map((line) => 'code' in line && line.code)).toEqual([
      offsetMs > 0 ? 1003 : 1004,
      0,
      0,
      0,
    ]);
  },
);

test('a task that becomes visible late is "not found" first and then found, not created again', async () => {
  const { sandbox, kling, create, reference } = await setUp(roads[0], { visibilityLagMs: 400 });
  await create({ externalTaskId: 'att_1', prompt: 'a fox [[fault:answer_lost]]' });
  expect(kindsOf(await kling.getTasks([reference('att_1')], options))).toEqual(['not_found']);
  expect(await create({ externalTaskId: 'att_1' })).toMatchObject({ failure: { reaction: 'already_exists' } });
  await lookUntil(kling, reference('att_1'), 'succeeded');
  expect(sandbox.stats()).toMatchObject({ creates_accepted: 1 });
});

test('of two tasks that Kling made for one id the walk shows both', async () => {
  const { kling, create, reference } = await setUp(roads[0], { repeatedExternalId: 'create-second' });
  await create({ externalTaskId: 'att_1' });
  await create({ externalTaskId: 'att_1' });
  const seen: string[] = [];
  for await (const report of kling.listTasks(
    'main',
    { fromMs: Date.now() - 60_000, toMs: Date.now() + 1_000 },
    options,
  )) {
    if (report.externalTaskId === 'att_1') seen.push(report.taskId);
  }
  expect(new Set(seen).size).toBe(2);
  expect(kindsOf(await kling.getTasks([reference('att_1')], options))).toEqual(['found']);
});

test('a retired model that Kling refuses is unavailable', async () => {
  const { create } = await setUp(roads[2], { retiredModels: 'refuse' });
  const answer = await create({ externalTaskId: 'att_1', model: 'kling-v1' });
  expect(answer).toMatchObject({
    kind: 'failed',
    failure: { reaction: 'fail_video', message: expect.stringContaining('discontinued') },
  });
});

function callsOf(sandbox: Sandbox): number {
  return Object.values(sandbox.stats().calls).reduce((sum, count) => sum + count, 0);
}

interface Received {
  readonly path: string;
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  readonly body: string;
}

async function startReceiver() {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const header = (name: string): string | undefined => request.headers[name]?.toString();
      received.push({
        path: request.url ?? '',
        id: header('webhook-id'),
        timestamp: header('webhook-timestamp'),
        signature: header('webhook-signature'),
        body: Buffer.concat(chunks).toString('utf8'),
      });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => void server.close(() => resolve())));
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    async until(matches: (callback: Received) => boolean): Promise<Received> {
      const endMs = Date.now() + 30_000;
      for (;;) {
        const found = received.find(matches);
        if (found) return found;
        if (Date.now() > endMs) throw new Error(`no such callback among ${received.length}`);
        await delay(20);
      }
    },
  };
}
