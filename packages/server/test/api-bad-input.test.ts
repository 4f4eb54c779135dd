import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Tables } from '../src/db/tables.ts';
import { openApi, type TestApi } from './support/api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await openApi({ limit: '3' });
});

afterAll(() => api.close());

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly pointers?: readonly string[];
  /** What the answer must say: the rule and the fix. */
  readonly says: RegExp;
}

const post = (payload: unknown, more: object = {}) => ({
  method: 'POST' as const,
  url: '/api/videos',
  payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  headers: { 'content-type': 'application/json' },
  ...more,
});
const prompt = 'a red fox';
const unknownId = `vid_${'0'.repeat(26)}`;
const invalid = (pointer: string, says: RegExp): Refusal => ({
  status: 400,
  code: 'invalid_request',
  pointers: [pointer],
  says,
});

const refusals: readonly [name: string, request: object, refusal: Refusal][] = [
  ['no prompt', post({}), invalid('/prompt', /prompt/)],
  ['an empty prompt', post({ prompt: ' \n ' }), invalid('/prompt', /empty/)],
  ['a prompt over the limit', post({ prompt: 'x'.repeat(2501) }), invalid('/prompt', /2500.*2501|2501.*2500/)],
  ['an unknown field', post({ prompt, promtp: 'x' }), invalid('/promtp', /prompt/)],
  [
    'a stray callback_url',
    post({ prompt, callback_url: 'https://x.example' }),
    invalid('/callback_url', /webhook_url/),
  ],
  ['an unknown model', post({ prompt, model: 'kling-2.7' }), invalid('/model', /kling-2\.6/)],
  ['a mode that the model has not', post({ prompt, mode: '4k' }), invalid('/mode', /std.*pro/)],
  ['a duration that the model has not', post({ prompt, duration: 7 }), invalid('/duration', /5.*10/)],
  ['an unknown ratio', post({ prompt, aspect_ratio: '4:3' }), invalid('/aspect_ratio', /16:9.*9:16.*1:1/)],
  ['sound on a silent model', post({ prompt, model: 'kling-v2-master', sound: true }), invalid('/sound', /sound/)],
  ['a product of later', post({ prompt, image: 'x' }), { status: 400, code: 'unsupported_product', says: /image/ }],
  ['not an object', post([1]), invalid('', /object/)],
  ['no body', post('', { headers: {} }), invalid('', /object/)],
  ['malformed JSON', post('{"prompt": fox}'), { status: 400, code: 'malformed_json', says: /line 1, column 12/ }],
  [
    'a body in another encoding',
    post('', { payload: Buffer.from('{"prompt": "caf\xe9"}', 'latin1') }),
    { status: 400, code: 'malformed_json', says: /UTF-8/ },
  ],
  ['an empty body', post(''), { status: 400, code: 'malformed_json', says: /empty/ }],
  [
    'a wrong content type',
    post('prompt=x', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
    { status: 415, code: 'unsupported_media_type', says: /application\/x-www-form-urlencoded.*application\/json/ },
  ],
  [
    'a body over the limit',
    post({ prompt: 'x'.repeat(70_000) }),
    { status: 413, code: 'body_too_large', says: /65536/ },
  ],
  [
    'over budget',
    post({ prompt, duration: 10, mode: 'pro' }),
    { status: 402, code: 'over_budget', says: /5 credits.*3 .*PUT \/api\/budget/ },
  ],
  [
    'an idempotency key over 255 characters',
    post({ prompt }, { headers: { 'content-type': 'application/json', 'idempotency-key': 'k'.repeat(256) } }),
    invalid('header:Idempotency-Key', /255/),
  ],
  [
    'an estimate of nonsense',
    post({ prompt, duration: 7 }, { url: '/api/videos/estimate' }),
    invalid('/duration', /5/),
  ],
  ['an unknown video', { url: `/api/videos/${unknownId}` }, { status: 404, code: 'not_found', says: /no video/ }],
  ['an id of another shape', { url: '/api/videos/1%00%27' }, { status: 404, code: 'not_found', says: /no video/ }],
  ['an endless id', { url: `/api/videos/${'x'.repeat(900)}` }, { status: 404, code: 'not_found', says: /no video/ }],
  ['a broken address', { url: '/api/videos/%zz' }, { status: 404, code: 'not_found', says: /no address/ }],
  ['an unknown route', { url: '/api/vidoes' }, { status: 404, code: 'not_found', says: /\/docs/ }],
  [
    'a method that a route has not',
    { method: 'PATCH', url: `/api/videos/${unknownId}` },
    { status: 405, code: 'method_not_allowed', says: /GET, HEAD, DELETE/ },
  ],
  ['an unknown filter', { url: '/api/videos?modle=x' }, invalid('?modle', /"model"/)],
  ['an unknown state', { url: '/api/videos?status=done' }, invalid('?status', /completed/)],
  ['a page too large', { url: '/api/videos?limit=101' }, invalid('?limit', /1 to 100/)],
  ['a made-up cursor', { url: '/api/videos?cursor=abc' }, invalid('?cursor', /leave it out/)],
  ['a filter that no text contains', { url: '/api/videos?metadata[a]=%00' }, invalid('?metadata[a]', /U\+0000/)],
  [
    'a budget that is no amount',
    { ...post({ limit_credits: -1 }), method: 'PUT', url: '/api/budget' },
    invalid('/limit_credits', /null for no limit/),
  ],
  [
    'a budget field that is not',
    { ...post({ limit_credits: 1, limit: 2 }), method: 'PUT', url: '/api/budget' },
    invalid('/limit', /limit_credits/),
  ],
];

const tables: readonly (keyof Tables)[] = ['videos', 'attempts', 'ledger_entries', 'events', 'idempotency_keys'];

async function stored(): Promise<unknown> {
  const { kysely } = api.database;
  const counts = await Promise.all(
    tables.map(async (table) => {
      const row = await kysely
        .selectFrom(table)
        .select(({ fn }) => fn.countAll().as('count'))
        .executeTakeFirstOrThrow();
      return [table, Number(row.count)];
    }),
  );
  return [counts, await kysely.selectFrom('budgets').selectAll().execute()];
}

test.each(refusals)(
  '%s is refused with a stable code, a place and a fix, and leaves nothing behind',
  async (_name, request, refusal) => {
    const before = await stored();
    const { headers = {}, ...rest } = request as { headers?: object };
    const answer = await api.app.inject({ method: 'GET', ...rest, headers: { ...headers, ...api.authorization } });
    const problem = answer.json<{ errors: { pointer: string; detail: string }[]; [name: string]: unknown }>();
    expect(answer.statusCode, answer.body).toBe(refusal.status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(problem).toMatchObject({
      status: refusal.status,
      code: refusal.code,
      type: `https://videos.example.com/docs/errors#${refusal.code}`,
      instance: expect.stringMatching(/^urn:dailies:request:req_/),
      retryable: false,
      title: expect.any(String),
    });
    expect(problem['detail']).toMatch(refusal.says);
    if (refusal.pointers) expect(problem.errors.map(({ pointer }) => pointer)).toEqual(refusal.pointers);
    expect(await stored()).toEqual(before);
  },
);

test('every mistake of a request is named at once', async () => {
  const body = { prompt: '', model: 'kling-2.6', duration: 7, aspect_ratio: '4:3', colour: 'red' };
  const answer = await api.app.inject({ ...post(body), headers: { ...post(body).headers, ...api.authorization } });
  const { errors } = answer.json<{ errors: { pointer: string }[] }>();
  expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual(['/aspect_ratio', '/colour', '/duration', '/prompt']);
});

test('without a valid key nothing is read, and the answer says how to send one', async () => {
  for (const authorization of [undefined, 'Bearer', 'Basic eDp5', `Bearer dls_${'x'.repeat(43)}`]) {
    const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) };
    const answer = await api.app.inject({ ...post('{'), headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="dailies"');
    expect(answer.json()).toMatchObject({ code: 'unauthenticated', detail: expect.stringContaining('Bearer <key>') });
  }
});

test('a bug answers 500 without a word about its cause, and logs it under the request id', async () => {
  const broken = await openApi();
  await broken.database.kysely.schema.dropTable('ledger_entries').execute();
  const answer = await broken.app.inject({
    ...post({ prompt }),
    headers: { ...post({}).headers, ...broken.authorization, 'x-request-id': 'trace-7' },
  });
  expect(answer.statusCode).toBe(500);
  expect(answer.headers['x-request-id']).toBe('trace-7');
  expect(answer.json()).toMatchObject({ code: 'internal', retryable: true, instance: 'urn:dailies:request:trace-7' });
  expect(answer.body).not.toMatch(/ledger|relation|select|insert/i);
  expect(broken.lines.find((line) => line.includes('"requestId":"trace-7"'))).toMatch(/ledger_entries/);
  await broken.close();
});

test('what is no HTTP, or too much of it, is answered as a problem too', async () => {
  const address = new URL(await api.listen());
  const send = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(address.port), address.hostname, () => socket.end(text));
      let answer = '';
      socket.on('data', (chunk) => (answer += String(chunk)));
      socket.on('end', () => resolve(answer)).on('error', reject);
    });
  expect(await send('GARBAGE\r\n\r\n')).toMatch(
    /^HTTP\/1.1 400 .*application\/problem\+json.*"code":"invalid_request"/s,
  );
  const large = `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`;
  expect(await send(large)).toMatch(/^HTTP\/1.1 431 .*"detail":"The headers are too large\."/s);
});

test('a request id that could harm logs or headers is replaced', async () => {
  const given = await api.app.inject({ url: '/healthz', headers: { 'x-request-id': 'a b"}' } });
  expect(given.headers['x-request-id']).toMatch(/^req_/);
});
