import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runServer } from '@dailies/server';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exitCodes } from '../src/exit-codes.ts';
import { runCli } from '../src/program.ts';
import { createTestIo, type TestIo } from './test-io.ts';

let folder: string;
let dataDir: string;
const stop = new AbortController();
let ended: Promise<number>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-cli-'));
  dataDir = join(folder, '.dailies');
  const env = {
    DATA_DIR: dataDir,
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
    SANDBOX_SPEED: '60',
    LOG_LEVEL: 'silent',
    KLING_CONCURRENCY: '1',
  };
  const lines: string[] = [];
  await new Promise<void>((ready, failed) => {
    ended = runServer('serve', {
      env,
      signal: stop.signal,
      out: (line) => {
        lines.push(line);
        if (line.includes('First request')) ready();
      },
    });
    ended.then((code) => failed(new Error(`the server ended with ${String(code)}: ${lines.join('\n')}`)), failed);
  });
});

afterAll(async () => {
  stop.abort();
  expect(await ended).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly io: TestIo;
}

async function run(args: readonly string[], options: Parameters<typeof createTestIo>[0] = {}): Promise<Result> {
  const io = createTestIo({ cwd: folder, ...options });
  const code = await runCli(args, io);
  return { code, out: io.printed.out, err: io.printed.err, io };
}

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { out, err, code } = await run([...args, '--json']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Record<string, unknown>;
}

test('generate shows the price first, follows the video and writes the whole file', async () => {
  const { code, out, err } = await run(['generate', 'a red fox running through fresh snow', '--metadata', 'scene=1']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const [price, ...rest] = out.trim().split('\n');
  expect(price).toBe('kling-2.6 std, 5 s, 16:9: 1.5 credits (US$0.21)');
  const path = rest.at(-1) ?? '';
  const id = /(vid_\w+)\.mp4$/.exec(path)?.[1] ?? '';
  expect(path).toBe(join(folder, `${id}.mp4`));
  const shown = await json(['show', id]);
  const { file, receipt } = shown as {
    file: { sha256: string };
    receipt: { entries: { kind: string; credits: number }[]; held_credits: number };
  };
  expect(
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  ).toBe(file.sha256);
  expect(receipt.entries.map(({ kind, credits }) => [kind, credits])).toEqual([
    ['hold', shown['estimated_credits']],
    ['capture', shown['estimated_credits']],
  ]);
  expect(receipt.held_credits).toBe(0);
  expect((await run(['show', id])).out).toContain('money     held 1.5, captured 1.5');
  const list = await json(['ls', '--metadata', 'scene=1', '--status', 'completed']);
  expect(list['data']).toMatchObject([{ id }]);
});

test('with --json standard output is one JSON document, the final video with its path', async () => {
  const video = await json(['generate', 'a dog', '--output', 'clips/']);
  expect(video).toMatchObject({ status: 'completed', path: join(folder, 'clips', `${String(video['id'])}.mp4`) });
  expect(await readdir(join(folder, 'clips'))).toEqual([`${String(video['id'])}.mp4`]);
});

test('a part of a file is gone on with, and a damaged part does not end in the file', async () => {
  const video = await json(['generate', 'a cat', '--output', 'cat.mp4']);
  const whole = await readFile(join(folder, 'cat.mp4'));
  const { sha256 } = video['file'] as { sha256: string };
  const part = join(folder, `.again.mp4.${sha256.slice(0, 12)}.part`);
  for (const beginning of [whole.subarray(0, 1000), Buffer.alloc(1000), Buffer.alloc(whole.length + 5)]) {
    await writeFile(part, beginning);
    expect((await run(['watch', String(video['id']), '-o', 'again.mp4'])).code).toBe(0);
    expect((await readFile(join(folder, 'again.mp4'))).equals(whole)).toBe(true);
  }
  expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('a failed video ends with 1 and says why, and nothing is charged', async () => {
  const { code, out } = await run(['generate', 'something [[fault:moderation_failed]]']);
  expect(code).toBe(exitCodes.failed);
  expect(out).toMatch(/vid_\w+ failed after .*, charged 0 credits: .+ \(content_policy\)/);
});

test('Ctrl-C leaves the video running and says how to watch it again', async () => {
  const io = createTestIo({ cwd: folder });
  const running = runCli(['generate', 'a long one', '--mode', 'pro', '--duration', '10'], io);
  await expect.poll(() => io.printed.out, { timeout: 30_000 }).toMatch(/vid_\w+ \w+/);
  io.interrupt();
  expect(await running).toBe(exitCodes.interrupted);
  const id = /vid_\w+/.exec(io.printed.err)?.[0] ?? '';
  expect(io.printed.err).toBe(`${id} goes on without you. Watch it again:\n  dailies watch ${id} --output ${id}.mp4\n`);
  const watched = await run(['watch', id, '--json']);
  expect(watched.code).toBe(0);
  const states = watched.out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { status: string }).status);
  expect(states.at(-1)).toBe('completed');
});

test('a queued video is canceled for free, retried as a new one, and its file deleted', async () => {
  const first = await json(['generate', 'one', '--no-wait']);
  const second = await json(['generate', 'two', '--no-wait']);
  const canceled = await json(['cancel', String(second['id'])]);
  expect(canceled).toMatchObject({ status: 'canceled', charged_credits: 0 });
  const again = await json(['retry', String(second['id'])]);
  expect(again).toMatchObject({ prompt: 'two', retry_of: second['id'] });
  expect((await run(['watch', String(first['id'])])).code).toBe(0);
  expect((await run(['watch', String(again['id'])])).code).toBe(0);
  expect((await run(['rm', String(first['id'])])).out).toBe(`${String(first['id'])} deleted\n`);
  const gone = await run(['watch', String(first['id']), '-o', 'gone.mp4']);
  expect(gone).toMatchObject({ code: exitCodes.failed, err: expect.stringContaining('it was deleted') });
});

test('estimate and budget: over the limit is exit code 4, and nothing is held', async () => {
  await json(['budget', 'set', '0.5']);
  expect(await json(['estimate', 'x'])).toMatchObject({
    estimated_credits: 1.5,
    within_budget: false,
    provider: 'sandbox',
  });
  const refused = await run(['generate', 'x']);
  expect(refused.code).toBe(exitCodes.overBudget);
  expect(refused.err).toMatch(/dailies budget set/);
  expect(await json(['budget', 'set', 'none'])).toMatchObject({ limit_credits: null, held_credits: 0 });
  expect((await run(['generate', 'x', '--max-credits', '1'])).code).toBe(exitCodes.overBudget);
});

test('models are listed and one is described by any of its names', async () => {
  expect((await run(['models'])).out).toMatch(/^MODEL .*\n(.*\n)*kling-2\.6 .* default$/m);
  expect((await run(['models', 'kling-v2-6'])).out).toContain('std   no     5 s     1.5 credits (US$0.21)');
  expect((await run(['models', 'kling-9'])).code).toBe(exitCodes.notFound);
});

test.each([
  [['show', 'vid_x'], exitCodes.notFound, 'not_found'],
  [['show', '..'], exitCodes.usage, 'usage'],
  [['generate', ''], exitCodes.usage, 'invalid_request'],
  [['generate', 'x', '--ratio', '4:3'], exitCodes.usage, 'invalid_request'],
  [['generate'], exitCodes.usage, 'usage'],
  [['generate', 'x', '--from', 'missing.json'], exitCodes.usage, 'usage'],
  [['ls', '--limit', '101'], exitCodes.usage, 'usage'],
  [['budget', 'set', 'lots'], exitCodes.usage, 'usage'],
  [['frobnicate'], exitCodes.usage, 'usage'],
  [['ls', '--api-key', 'wrong'], exitCodes.unauthenticated, 'unauthenticated'],
  [['ls', '--url', 'nonsense'], exitCodes.usage, 'usage'],
] as const)('%j ends with %i and the code %s, as JSON on standard error only', async (args, exitCode, code) => {
  const { out, err, code: ended } = await run([...args, '--json']);
  expect({ ended, out }).toEqual({ ended: exitCode, out: '' });
  expect(JSON.parse(err)).toMatchObject({ error: { code, exit_code: exitCode, message: expect.any(String) } });
});

test('a server that cannot be reached is named, with the way to start one', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve)); // from here on nobody listens there
  const { err, code } = await run(['ls', '--url', `http://127.0.0.1:${String(port)}`]);
  expect(code).toBe(exitCodes.unreachable);
  expect(err).toContain(`cannot reach the Dailies server at http://127.0.0.1:${String(port)} (ECONNREFUSED)`);
  expect(err).toContain('npm start');
});

test('several mistakes are listed one by one', async () => {
  const { err } = await run(['generate', 'x', '--ratio', '4:3', '--mode', 'foo']);
  expect(err.trim().split('\n')).toEqual([
    'dailies: The request is not valid:',
    expect.stringMatching(/^ {2}\/mode: /),
    expect.stringMatching(/^ {2}\/aspect_ratio: /),
  ]);
});

test('help names every exit code', async () => {
  const { code, out } = await run(['--help']);
  expect(code).toBe(0);
  for (const value of Object.values(exitCodes)) expect(out).toMatch(new RegExp(`^ +${String(value)}  \\S`, 'm'));
});

test('a webhook is added, tested, told of videos, looked after and removed, and its secret verifies', async () => {
  const bodies: { headers: Record<string, string>; body: string }[] = [];
  let status = 204;
  const http = createHttpServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const headers = request.headers as Record<string, string>;
      bodies.push({ headers, body: Buffer.concat(pieces).toString() });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${String((http.address() as AddressInfo).port)}/hook`;
    const added = await json(['webhooks', 'add', url, '--events', 'canceled']);
    const { id, secret } = added as { id: string; secret: string };
    expect(added['event_types']).toEqual(['video.canceled']);
    expect((await run(['webhooks', 'list'])).out).toMatch(new RegExp(`${id} +ok +canceled +${url}`));
    const tested = await run(['webhooks', 'test', id]);
    expect(tested).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^dlv_\w+ delivered: answered 204\n$/) as string,
    });
    const first = bodies[0]!;
    expect(new Webhook(secret).verify(first.body, first.headers)).toMatchObject({ type: 'webhook.test' });
    status = 500;
    expect(await run(['webhooks', 'test', id])).toMatchObject({ code: exitCodes.failed });
    const { data } = (await json(['webhooks', 'deliveries', id])) as unknown as { data: { id: string }[] };
    expect(data).toMatchObject([{ status: 'failed' }, { status: 'delivered' }]);
    expect((await run(['webhooks', 'deliveries', '--status', 'failed'])).out).toContain('answered 500');
    status = 204;
    expect((await run(['webhooks', 'redeliver', data[0]!.id])).out).toContain('is being sent again');
    const rotated = await json(['webhooks', 'rotate', id]);
    expect(rotated['secret']).not.toBe(secret);
    expect((await run(['webhooks', 'enable', id])).code).toBe(0);
    expect((await run(['webhooks', 'remove', id])).out).toBe(`${id} removed\n`);
    expect((await run(['webhooks', 'test', id])).code).toBe(exitCodes.notFound);
    const wrong = await run(['webhooks', 'add', 'http://example.com', '--events', 'done', '--json']);
    expect(wrong.code).toBe(exitCodes.usage);
    expect(wrong.err).toMatch(/https:\/\/.*video\.completed/s);
  } finally {
    http.close();
  }
});

test('a dead letter is listed with its reason, refused with the fix, replayed, and dismissed', async () => {
  let status = 410;
  const seen: unknown[] = [];
  const http = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      seen.push(request.headers['webhook-id']);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  try {
    expect((await run(['dead-letters'])).out).toBe('No dead letters.\n');
    const url = `http://127.0.0.1:${String((http.address() as AddressInfo).port)}/hook`;
    const webhook = String((await json(['webhooks', 'add', url, '--events', 'canceled']))['id']);
    const { id: video } = await json(['generate', 'a wolf', '--no-wait']);
    await run(['cancel', String(video)]);
    const letters = async () => (await json(['dead-letters', 'list', '--limit', '5']))['data'] as { id: string }[];
    await expect.poll(letters, { timeout: 60_000 }).toMatchObject([{ kind: 'notify', video_id: video }]);
    const id = (await letters())[0]?.id ?? '';
    const listed = (await run(['dead-letters'])).out;
    expect(listed).toMatch(new RegExp(`^notify ${id}  .* ago  ${String(video)} canceled\n  reason  .*410`));
    const refused = await run(['dead-letters', 'replay', 'notify', id]);
    expect(refused).toMatchObject({ code: exitCodes.failed });
    expect(refused.err).toContain(`PATCH /api/webhooks/${webhook}`);
    await run(['webhooks', 'enable', webhook]);
    expect((await run(['dead-letters', 'replay', 'notify', id])).out).toContain(`notify ${id} is replayed: It is sent`);
    await expect.poll(letters, { timeout: 60_000 }).toHaveLength(1); // it was answered 410 again
    expect(new Set(seen)).toEqual(new Set([id]));
    status = 204;
    expect((await run(['dead-letters', 'dismiss', 'notify', id])).out).toBe(`notify ${id} dismissed\n`);
    expect(await letters()).toEqual([]);
    expect((await run(['dead-letters', 'dismiss', 'notify', id])).code).toBe(exitCodes.notFound);
    expect((await run(['dead-letters', 'replay', 'nothing', 'x'])).code).toBe(exitCodes.notFound);
    await run(['webhooks', 'remove', webhook]);
  } finally {
    http.close();
  }
});
