import { afterEach } from 'vitest';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';
import type { CallOptions, KlingAccount, PinnedCall, TaskReference } from '../../src/kling/kling-api.ts';
import { createKlingApi } from '../../src/kling/open.ts';
import { jsonAnswer, startRawServer } from './raw-server.ts';
import type { RawAnswer, RawRequest } from './raw-server.ts';

export const apiKey = 'api-key-kling-0123456789abcdef';
export const accessKey = 'ACCESSKEYaccesskeyACCESSKEY01234';
export const secretKey = 'secretkeySECRETKEYsecretkey56789';
const signal = new AbortController().signal;
export const options: CallOptions = { signal, timeoutMs: 5_000 };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** The client before a server that answers as told; both are closed after the test. */
export async function setUp(credentials: 'key' | 'pair', answer: RawAnswer, clock: Clock = systemClock) {
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

export const ok = (data: unknown): string => jsonAnswer(200, { code: 0, message: 'SUCCEED', request_id: 'r-1', data });
export const refuse = (status: number, code: number, message: string, headers: readonly string[] = []): string =>
  jsonAnswer(status, { code, message, request_id: 'r-2' }, headers);
export const notFound = refuse(400, 1201, 'Task not found by id/external id: att_1');
export const legacyTask = (taskId: string, externalTaskId: string | null = null, createdAtMs = 1_789_000_000_000) => ({
  task_id: taskId,
  task_status: 'processing',
  task_status_msg: '',
  task_info: externalTaskId === null ? {} : { external_task_id: externalTaskId },
  task_result: {},
  created_at: createdAtMs,
  updated_at: createdAtMs,
  something_new: [1, 2],
});
export const standardTask = (id: string, externalId: string, createdAtMs = 1_789_000_000_000) => ({
  id,
  status: 'processing',
  message: '',
  external_id: externalId,
  create_time: createdAtMs,
  update_time: createdAtMs,
  outputs: [],
  something_new: {},
});
export const pathsOf = (requests: readonly RawRequest[]): string[] =>
  requests.map(({ method, path }) => `${method} ${path}`);
