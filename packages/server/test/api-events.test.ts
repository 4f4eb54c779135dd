import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../src/db/transaction.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { recordEvent } from '../src/videos/events.ts';
import { deliverVideo, openApi, until, type TestApi } from './support/api.ts';
import { testWorkspace } from './support/core.ts';

let api: TestApi;
let address: string;

beforeAll(async () => {
  api = await openApi({ slots: 100 });
  address = await api.listen();
});

afterAll(() => api.close());

interface Message {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
}

/** Reads a stream message by message; `close` goes away as a closed browser tab does. */
async function open(path: string, lastEventId?: string, headers: Record<string, string> = api.authorization) {
  const gone = new AbortController();
  const response = await fetch(`${address}${path}`, {
    headers: { ...headers, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) },
    signal: gone.signal,
  });
  async function* messages(): AsyncGenerator<Message> {
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = block.split('\n').map((line) => /^(\w+): (.*)$/.exec(line));
        const message = Object.fromEntries(fields.flatMap((field) => (field ? [[field[1], field[2]]] : []))) as Message;
        if (message.event !== undefined) yield message;
      }
    }
  }
  const reading = messages();
  return {
    response,
    async next(): Promise<Message | undefined> {
      const { value, done } = await reading.next();
      return done ? undefined : value;
    },
    async rest(): Promise<Message[]> {
      const all: Message[] = [];
      for await (const message of reading) all.push(message);
      return all;
    },
    close: () => gone.abort(),
  };
}

test('a stream tells everything from the beginning, then what happens, and ends when nothing can happen any more', async () => {
  const id = await api.core.create();
  const stream = await open(`/api/videos/${id}/events`);
  expect(stream.response.status).toBe(200);
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(stream.response.headers.get('cache-control')).toBe('no-store');
  const first = await stream.next();
  expect(first).toMatchObject({ id: '1', event: 'video.queued' });
  expect(JSON.parse(first?.data ?? '')).toEqual({
    seq: 1,
    video_id: id,
    type: 'video.queued',
    data: { job_id: id, status: 'queued' },
    created_at: expect.any(String),
  });
  await deliverVideo(api, id, Buffer.from('a film'));
  const rest = await stream.rest();
  expect(rest.map(({ event }) => event)).toEqual([
    'video.submitting',
    'video.generating',
    'video.archiving',
    'video.completed',
    'end',
  ]);
  expect(rest.slice(0, -1).map((message) => message.id)).toEqual(['2', '3', '4', '5']);
  expect(rest.at(-1)).toEqual({ event: 'end', data: '{"status":"completed"}' });
});

test('a reader who comes back gets exactly what it missed; one who has seen all gets 204', async () => {
  const id = await api.core.create();
  const path = `/api/videos/${id}/events`;
  const before = await open(path);
  expect(await before.next()).toMatchObject({ id: '1' });
  before.close();
  await deliverVideo(api, id, Buffer.from('a film'));
  const after = await open(path, '3');
  expect((await after.rest()).map((message) => message.id)).toEqual(['4', '5', undefined]);
  expect((await open(path, '5')).response.status).toBe(204);
});

test('the stream of a canceled video stays open until its charge is known, because its paid file may still come', async () => {
  const id = await api.core.create();
  const stream = await open(`/api/videos/${id}/events`);
  for (const family of new Set(api.core.asked)) await dispatchFamily(api.core.context, family);
  await api.core.videos.cancel(id, testWorkspace);
  const seen = [await stream.next(), await stream.next(), await stream.next()];
  expect(seen.map((message) => message?.event)).toEqual(['video.queued', 'video.submitting', 'video.canceled']);
  const following = stream.rest();
  await inTransaction(api.database, async ({ trx, afterCommit }) => {
    await recordEvent(trx, id, 'video.charged', { charged_credits: 1.5 });
    await trx.updateTable('videos').set({ charged_credits: '1.5' }).where('id', '=', id).execute();
    afterCommit(() => api.core.context.events.notify());
  });
  expect((await following).map(({ event }) => event)).toEqual(['video.charged', 'end']);
});

test('the same events come as a list for whoever asks for JSON', async () => {
  const id = await api.core.create();
  await api.core.videos.cancel(id, testWorkspace);
  const headers = { ...api.authorization, accept: 'application/json', 'last-event-id': '1' };
  const answer = await fetch(`${address}/api/videos/${id}/events`, { headers });
  const { data } = (await answer.json()) as { data: { seq: number; type: string }[] };
  expect(data.map(({ seq, type }) => [seq, type])).toEqual([
    [2, 'video.canceled'],
    [3, 'video.charged'],
  ]);
});

test('a place that is none is refused before the stream begins', async () => {
  const id = await api.core.create();
  for (const [path, place] of [
    [`/api/videos/${id}/events`, 'yesterday'],
    ['/api/events', '7'],
    ['/api/events', '7-9999999999999999999'],
  ] as const) {
    const answer = await open(path, place);
    expect(answer.response.status).toBe(400);
    expect(answer.response.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.response.json()).toMatchObject({ errors: [{ pointer: 'header:Last-Event-ID' }] });
  }
});

test('the stream of a workspace tells of its videos only, and resumes without a gap or a repeat', async () => {
  const stream = await open('/api/events');
  const ready = await stream.next();
  expect(ready).toMatchObject({ event: 'ready' });
  const mine = await api.core.create();
  // "From now on" may begin a moment earlier, while an older transaction runs somewhere in the database; never later.
  const firstOf = async (reader: typeof stream) => {
    let message = await reader.next();
    while (message && !message.data?.includes(mine)) message = await reader.next();
    return message;
  };
  const first = await firstOf(stream);
  expect(JSON.parse(first?.data ?? '')).toMatchObject({ type: 'video.queued', video_id: mine });
  stream.close();
  const other = await open('/api/events', ready?.id, api.otherAuthorization);
  const missed = await api.core.create();
  await api.core.videos.cancel(missed, testWorkspace);
  const resumed = await open('/api/events', first?.id);
  const seen = [await resumed.next(), await resumed.next(), await resumed.next()];
  expect(seen.map((message) => message?.event)).toEqual(['video.queued', 'video.canceled', 'video.charged']);
  resumed.close();
  other.close();
  const again = await open('/api/events', ready?.id);
  expect(await firstOf(again)).toEqual(first);
  again.close();
});

test('a reader who goes away is let go of at once', async () => {
  const id = await api.core.create();
  const stream = await open(`/api/videos/${id}/events`);
  await stream.next();
  const logged = () => api.lines.some((line) => line.includes(id) && line.includes('/api/videos/:id/events'));
  expect(logged()).toBe(false);
  stream.close();
  await until(logged, 'the log line of the ended request');
});

test('closing the server ends its streams, so that readers go on at another', async () => {
  const own = await openApi();
  const url = await own.listen();
  const response = await fetch(`${url}/api/events`, { headers: own.authorization });
  const reading = response.text();
  await own.close();
  expect(await reading).toContain('event: ready');
});

test('a client who does not read cannot hold up a shutdown', async () => {
  const own = await openApi();
  const id = await own.core.create();
  await deliverVideo(own, id, randomBytes(20_000_000));
  const { hostname, port } = new URL(await own.listen());
  const socket = connect(Number(port), hostname);
  const key = own.authorization.authorization;
  socket.write(`GET /api/videos/${id}/content HTTP/1.1\r\nHost: x\r\nAuthorization: ${key}\r\n\r\n`);
  await once(socket, 'readable');
  await own.close();
  socket.destroy();
});
