import { createServer, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { type Sandbox, type SandboxOptions, sandboxApiKey, startSandbox } from '../src/index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- answers are asserted field by field
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Json;
}

export interface Client {
  readonly url: string;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  send(method: string, path: string, init?: { body?: string; headers?: Record<string, string> }): Promise<Answer>;
}

export const legacyPath = '/v1/videos/text2video';

/** A client with the default account's key; other headers win. */
export function createClient(url: string, token = sandboxApiKey): Client {
  const send: Client['send'] = async (method, path, { body, headers } = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parse(text) };
  };
  return {
    url,
    send,
    post: (path, body = {}, headers = {}) => send('POST', path, { body: JSON.stringify(body), headers }),
    get: (path, headers = {}) => send('GET', path, { headers }),
  };
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A sandbox that closes with the test. Tasks take 40 ms and files are tiny unless told otherwise. */
export async function openSandbox(options: SandboxOptions = {}): Promise<Client & { readonly sandbox: Sandbox }> {
  const sandbox = await startSandbox({ taskMs: 40, files: 'tiny', ...options });
  onTestFinished(() => sandbox.close());
  return { ...createClient(sandbox.url), sandbox };
}

/** Asks again until the answer fits; fails with the last one after a generous while. */
export async function eventually<Value>(
  ask: () => Promise<Value> | Value,
  fits: (value: Value) => boolean,
): Promise<Value> {
  const deadlineMs = Date.now() + 15_000;
  for (;;) {
    const value = await ask();
    if (fits(value)) return value;
    if (Date.now() > deadlineMs) throw new Error(`still not so: ${JSON.stringify(value)}`);
    await delay(5);
  }
}

/** Creates through the legacy path and returns the task id. */
export async function createLegacy(client: Client, fields: object = {}): Promise<string> {
  const answer = await client.post(legacyPath, { model_name: 'kling-v2-6', prompt: 'a red fox', ...fields });
  if (answer.body?.code !== 0) throw new Error(`create refused: ${answer.text}`);
  return answer.body.data.task_id;
}

/** Creates through the standard path and returns the task id. */
export async function createStandard(client: Client, fields: object = {}, model = 'kling-3.0'): Promise<string> {
  const answer = await client.post(`/text-to-video/${model}`, { prompt: 'a red fox', ...fields });
  if (answer.body?.code !== 0) throw new Error(`create refused: ${answer.text}`);
  return answer.body.data.id;
}

/** The standard record of a task once it has ended. */
export function ended(client: Client, id: string): Promise<Json> {
  return eventually(
    async () => (await client.get(`/tasks?task_ids=${id}`)).body.data[0],
    (task) => task?.status === 'succeeded' || task?.status === 'failed',
  );
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly method: string | undefined;
  readonly raw: string;
  readonly body: Json;
}

/** A callback receiver; `answers` are the statuses of its first answers, then 200. */
export async function openReceiver(answers: number[] = []): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks).toString();
      received.push({ headers: request.headers, method: request.method, raw, body: JSON.parse(raw) });
      response.writeHead(answers.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close().closeAllConnections();
  });
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('no address');
  return { url: `http://127.0.0.1:${address.port}/hook`, received };
}
