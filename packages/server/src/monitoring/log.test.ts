import { expect, test } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { StorageError } from '../storage/storage-error.ts';
import { createLogger, type LogOptions } from './log.ts';

function lines(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  return { written, log: createLogger({ level: 'info', format: 'json', destination, ...options }) };
}

test('a line is JSON with time, level and the ids that its logger is bound to', () => {
  const { written, log } = lines();
  log.child({ videoId: 'vid_1' }).warn({ tries: 2 }, 'copy failed');
  expect(written).toHaveLength(1);
  expect(JSON.parse(written[0]!)).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    videoId: 'vid_1',
    tries: 2,
    msg: 'copy failed',
  });
});

test.for(['json', 'pretty'] as const)('no secret reaches a %s line', (format) => {
  const { written, log } = lines({ format });
  log.info(
    {
      key: new Secret('hidden-1'),
      headers: { authorization: 'Bearer hidden-2', cookie: 'hidden-3' },
      apiKey: 'hidden-4',
      account: { secretKey: 'hidden-5', nested: new Secret('hidden-6') },
      file: { source_url: 'https://hidden-7' },
      req: { headers: { authorization: 'hidden-8' } },
    },
    'asked',
  );
  expect(written.join('')).not.toContain('hidden');
  expect(written.join('')).toContain('[redacted]');
});

test('a line for a person is short, and keeps the stack of an error', () => {
  const { written, log } = lines({ format: 'pretty' });
  log.info({ port: 8000, address: 'http://127.0.0.1:8000', note: 'two words' }, 'listening');
  log.error(new Error('broken'));
  expect(written[0]).toMatch(
    /^\d\d:\d\d:\d\d info  listening port=8000 address=http:\/\/127.0.0.1:8000 note="two words"\n$/,
  );
  expect(written[1]).toMatch(/error broken\n {4}Error: broken\n {4} +at /);
});

test.for(['json', 'pretty'] as const)(
  'an error in a %s line has its text and that of its causes, and nothing else that hangs on it',
  (format) => {
    const { written, log } = lines({ format });
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:6379'), { code: 'ECONNREFUSED' });
    const cause = new AggregateError([refused], '');
    const error = Object.assign(new Error('the engine is away', { cause }), {
      code: 'unavailable',
      $response: { headers: { authorization: 'hidden-1' }, body: 'hidden-2' },
      parameters: ['hidden-3'],
    });
    log.error({ error, videoId: 'vid_1' }, 'the queue failed');
    const line = written.join('');
    for (const part of ['the queue failed', 'vid_1', 'the engine is away', 'connect ECONNREFUSED 10.0.0.7:6379']) {
      expect(line).toContain(part);
    }
    expect(line).not.toContain('hidden');
    expect(line).not.toContain(' at ');
    const below = new Error('PUT https://bucket/upload?upload_id=hidden-4 failed');
    log.error({ error: new StorageError('denied', 'The bucket denies.', below) }, 'a copy failed');
    expect(written[1]).toContain('The bucket denies.');
    expect(written[1]).not.toContain('hidden');
    log.error({ error: new TypeError('a bug') }, 'a dispatch failed');
    expect(written[2]).toMatch(/TypeError: a bug.* at /s);
  },
);

test('lines below the level are not written', () => {
  const { written, log } = lines({ level: 'warn' });
  log.info('quiet');
  expect(written).toEqual([]);
});
