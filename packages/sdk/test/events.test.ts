import { afterEach, expect, test } from 'vitest';
import { createDailies, TimeoutError, type Dailies } from '../src/index.ts';
import {
  collect,
  hangUp,
  json,
  problem,
  startWireServer,
  stream,
  video,
  type Answer,
  type WireServer,
} from './wire-server.ts';

const open: WireServer[] = [];

async function setUp(...answers: readonly Answer[]): Promise<{ server: WireServer; dailies: Dailies }> {
  const server = await startWireServer(...answers);
  open.push(server);
  return { server, dailies: createDailies({ url: server.url, retryBaseMs: 1, idleTimeoutMs: 100 }) };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

test('events arrive in order and end where the server says that nothing more can come', async () => {
  const { dailies } = await setUp(
    stream(
      [
        [1, 'video.queued'],
        [2, 'video.canceled'],
        [3, 'video.charged'],
      ],
      'end',
    ),
  );
  const events = await collect(dailies.videos.events('vid_1'));
  expect(events.map((event) => [event.seq, event.type])).toEqual([
    [1, 'video.queued'],
    [2, 'video.canceled'],
    [3, 'video.charged'],
  ]);
});

test('a broken stream goes on after the last event that was seen, each event once', async () => {
  const { server, dailies } = await setUp(
    stream(
      [
        [1, 'video.queued'],
        [2, 'video.submitting'],
      ],
      'cut',
    ),
    hangUp,
    problem(503, { code: 'unavailable' }),
    stream([[3, 'video.generating']], 'close'),
    stream([[4, 'video.failed']], 'end'),
  );
  const events = await collect(dailies.videos.events('vid_1'));
  expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4]);
  const cursors = server.seen.map((request) => request.headers['last-event-id']);
  expect(cursors).toEqual([undefined, '2', '2', '2', '3']);
});

test('a stream that goes silent without a heartbeat is opened again', async () => {
  const { server, dailies } = await setUp(stream([[1, 'video.queued']], 'keep'), stream([[2, 'video.completed']]));
  const events = await collect(dailies.videos.events('vid_1', { lastEventId: '0' }));
  expect(events.map((event) => event.seq)).toEqual([1, 2]);
  expect(server.seen.map((request) => request.headers['last-event-id'])).toEqual(['0', '1']);
});

test('a final video whose stream just closes ends, too', async () => {
  const { dailies } = await setUp(stream([], 'close'), json(200, video('completed')));
  expect(await collect(dailies.videos.events('vid_1', { lastEventId: '9' }))).toEqual([]);
});

test('an event that a server sends again after resuming is dropped', async () => {
  const { dailies } = await setUp(
    stream([[1, 'video.queued']], 'cut'),
    stream([
      [1, 'video.queued'],
      [2, 'video.completed'],
    ]),
  );
  const events = await collect(dailies.videos.events('vid_1'));
  expect(events.map((event) => event.seq)).toEqual([1, 2]);
});

test('an unknown video ends the iteration with the refusal at once', async () => {
  const { server, dailies } = await setUp(problem(404, { code: 'not_found', detail: 'There is no video.' }));
  await expect(collect(dailies.videos.events('vid_x'))).rejects.toMatchObject({ code: 'not_found' });
  expect(server.seen).toHaveLength(1);
});

test('events split anywhere and with any line ends are read alike', async () => {
  const text =
    'id: 1\r\nevent: video.queued\r\ndata: {"seq":1,\r\ndata: "é":1}\r\n\r\nid: 2\revent: video.completed\rdata: {"seq":2,"type":"video.completed"}\r\r';
  const bytes = Buffer.from(text);
  const { dailies } = await setUp(async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const byte of bytes) {
      response.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    response.end('event: end\ndata: {}\n\n');
  });
  expect(await collect(dailies.videos.events('vid_1'))).toEqual([
    { seq: 1, é: 1 },
    { seq: 2, type: 'video.completed' },
  ]);
});

/** Answers GETs of the video from a script, and its event stream with `events`. */
function scripted(states: readonly object[], events: Answer): Answer {
  let gets = 0;
  return (request, response) => {
    if (request.url.endsWith('/events')) return events(request, response);
    return json(200, states[Math.min(gets++, states.length - 1)])(request, response);
  };
}

test('watching shows every change and ends with the final video', async () => {
  const states = [
    video('queued', { queue: { position: 2 } }),
    video('queued', { queue: { position: 1 } }),
    video('completed'),
  ];
  const { dailies } = await setUp(scripted(states, stream([], 'keep')));
  const seen = await collect(dailies.videos.watch('vid_1', { pollMs: 5 }));
  expect(seen.map((entry) => [entry.status, entry.queue?.position])).toEqual([
    ['queued', 2],
    ['queued', 1],
    ['completed', undefined],
  ]);
});

test('an event is looked at when it comes, not at the next poll', async () => {
  const events: Answer = (request, response) => {
    setTimeout(() => void stream([[2, 'video.completed']])(request, response), 50);
  };
  const { dailies } = await setUp(scripted([video('generating'), video('completed')], events));
  const before = performance.now();
  expect((await dailies.videos.waitFor('vid_1', { pollMs: 60_000 })).status).toBe('completed');
  expect(performance.now() - before).toBeLessThan(5_000);
});

test('waiting works by polling alone where streams do not get through', async () => {
  const states = [video('queued'), video('generating'), video('failed')];
  const { dailies } = await setUp(scripted(states, problem(404, { code: 'not_found' })));
  expect((await dailies.videos.waitFor('vid_1', { pollMs: 5 })).status).toBe('failed');
});

test('a wait has a limit that leaves the video alone', async () => {
  const { dailies } = await setUp(scripted([video('generating')], stream([], 'keep')));
  await expect(dailies.videos.waitFor('vid_1', { pollMs: 5, timeoutMs: 50 })).rejects.toBeInstanceOf(TimeoutError);
});

test('an abort ends a watch with its reason', async () => {
  const { dailies } = await setUp(scripted([video('generating')], stream([], 'keep')));
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 30);
  await expect(collect(dailies.videos.watch('vid_1', { signal: stop.signal }))).rejects.toThrow('enough');
});
