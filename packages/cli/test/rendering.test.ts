import type { Estimate, Receipt, Video } from '@dailies/sdk';
import { expect, test } from 'vitest';
import { budgetLines } from '../src/commands/account.ts';
import { estimateLines } from '../src/commands/generate.ts';
import { listLines } from '../src/commands/videos.ts';
import { printable, printableJson } from '../src/printable.ts';
import { createPrinter } from '../src/printer.ts';
import { liveText, progressText } from '../src/render/progress.ts';
import { table } from '../src/render/table.ts';
import { videoLines } from '../src/render/video-lines.ts';
import { cut, widthOf } from '../src/render/width.ts';
import { size, span } from '../src/render/words.ts';
import { createTestIo } from './test-io.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');
const later = (seconds: number): string => new Date(nowMs + seconds * 1000).toISOString();
const evil = 'a\u001b]0;owned\u0007b\u009b2Jc\u202ed\r\n';

const video: Video = {
  id: 'vid_1',
  job_id: 'vid_1',
  status: 'completed',
  provider: 'sandbox',
  product: 'text2video',
  model: 'kling-2.6',
  mode: 'std',
  duration: 5,
  aspect_ratio: '16:9',
  sound: true,
  prompt: 'a red fox',
  metadata: { team: 'a' },
  estimated_credits: 1.5,
  charged_credits: 1.5,
  estimated_cost: { amount: '0.21', currency: 'USD' },
  queue: null,
  video_url: 'http://127.0.0.1/link',
  poster_url: null,
  file: { bytes: 1_234_567, seconds: 5.0416, width: 1280, height: 720, sha256: 'abc' },
  error: null,
  warnings: [],
  retry_of: null,
  created_at: '2026-01-01T00:00:00Z',
  started_at: '2026-01-01T00:00:01Z',
  completed_at: '2026-01-01T00:00:50Z',
  deleted_at: null,
  links: { self: '/v', events: '/e', content: '/c', cancel: null },
};

const receipt: Receipt = {
  video_id: 'vid_1',
  price_basis: '0.3 credits/s x 5 s',
  estimated_credits: 1.5,
  held_credits: 0,
  captured_credits: 1.5,
  released_credits: 0,
  captured_cost: { amount: '0.21', currency: 'USD' },
  entries: [
    { kind: 'hold', credits: 1.5, reason: 'accepted', assumed: false, created_at: '2026-01-01T00:00:00Z' },
    { kind: 'capture', credits: 1.5, reason: 'generated', assumed: false, created_at: '2026-01-01T00:00:50Z' },
  ],
  attempts: [],
};

test('nothing that a terminal would act on passes the printer, on either stream and in either form', () => {
  const io = createTestIo();
  createPrinter(io, false).line(evil);
  createPrinter(io, true).json({ prompt: evil });
  createPrinter(io, false).error(evil);
  createPrinter(io, true).errorJson({ message: evil });
  // oxlint-disable-next-line no-control-regex -- the only control character is the line end of each print
  expect(io.printed.out + io.printed.err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(io.printed.out).toContain(String.raw`a\x1b]0;owned\x07b`);
  expect(io.printed.out.split('\n')).toHaveLength(3);
});

test('escaped JSON still means the same', () => {
  expect(JSON.parse(printableJson({ prompt: evil }, 2))).toEqual({ prompt: evil });
});

test('ordinary text in any script is shown as it is', () => {
  expect(printable('Füchse 狐狸 🦊 — “ok”')).toBe('Füchse 狐狸 🦊 — “ok”');
});

test('with --json people get nothing on standard output, without it machines get nothing', () => {
  const io = createTestIo();
  createPrinter(io, true).line('words');
  createPrinter(io, false).json({});
  expect(io.printed.out).toBe('');
});

test('the live line is rewritten in place, fits the terminal, and is gone before other text', () => {
  const io = createTestIo({ isTTY: true });
  const printer = createPrinter(io, false);
  printer.live('x'.repeat(200));
  printer.line('done');
  expect(io.printed.out).toBe(`\r\u001b[K${'x'.repeat(78)}…\r\u001b[Kdone\n`);
});

test('there is no live line in a pipe or with --json', () => {
  const pipe = createTestIo();
  createPrinter(pipe, false).live('x');
  const machine = createTestIo({ isTTY: true });
  createPrinter(machine, true).live('x');
  expect(pipe.printed.out + machine.printed.out).toBe('');
});

test('wide characters count double, marks not at all', () => {
  expect(widthOf('狐a🦊e\u0301')).toBe(6);
  expect(cut('狐狸狐狸', 5)).toBe('狐狸…');
});

test('a table aligns its columns and cuts only the last', () => {
  expect(
    table(
      ['ID', 'PROMPT'],
      [
        ['狐', 'x'.repeat(60)],
        ['abcd', 'short'],
      ],
      20,
    ),
  ).toEqual(['ID    PROMPT', `狐    ${'x'.repeat(13)}…`, 'abcd  short']);
});

test('progress names what is known: place, start and end', () => {
  const queue = { position: 3, starts_at: later(120), ends_at: later(200) };
  expect(progressText({ status: 'queued', queue }, nowMs)).toBe(
    'queued, position 3, starts in about 2 min, ready in about 3 min',
  );
  expect(
    progressText({ status: 'generating', queue: { position: 0, starts_at: null, ends_at: later(40) } }, nowMs),
  ).toBe('generating, ready in about 40 s');
  expect(progressText({ status: 'queued', queue: { position: null, starts_at: null, ends_at: null } }, nowMs)).toBe(
    'queued, position 1000+',
  );
  expect(
    progressText({ status: 'generating', queue: { position: 0, starts_at: null, ends_at: later(-5) } }, nowMs),
  ).toBe('generating, ready any moment');
  expect(liveText({ ...video, status: 'archiving', queue: null }, nowMs)).toMatch(
    /^\S copying to our storage {2}\(60 s\)$/,
  );
});

test('a video for people says what it cost and why it failed', () => {
  const lines = videoLines(video, receipt, nowMs);
  expect(lines).toContain('made as   kling-2.6 std, 5 s, 16:9, with sound');
  expect(lines).toContain('price     1.5 credits (US$0.21); 0.3 credits/s x 5 s');
  expect(lines).toContain('money     held 1.5, captured 1.5');
  expect(lines).toContain('file      1.2 MB, 5.04 s, 1280 x 720, sha256 abc');
  const error = {
    code: 'content_policy',
    message: 'Refused.',
    retryable: false,
    provider_code: 1301,
    provider_request_id: null,
  };
  const failed = { ...video, status: 'failed' as const, file: null, video_url: null, error };
  expect(videoLines(failed, { ...receipt, held_credits: 1.5, entries: receipt.entries.slice(0, 1) }, nowMs)).toEqual(
    expect.arrayContaining(['why       Refused. (content_policy)', 'money     held 1.5, 1.5 credits undecided']),
  );
});

test('a list shows the charge once it is known, the price before', () => {
  const waiting = {
    ...video,
    id: 'vid_2',
    status: 'queued' as const,
    charged_credits: null,
    estimated_credits: 2,
    mode: null,
  };
  expect(listLines([video, waiting], nowMs, Infinity)).toEqual([
    'ID     STATUS     MODEL          LENGTH  CREDITS  AGE   PROMPT',
    'vid_1  completed  kling-2.6 std  5 s     1.5      60 s  a red fox',
    'vid_2  queued     kling-2.6      5 s     2        60 s  a red fox',
  ]);
});

test('a list fits a terminal of 80 columns', () => {
  const long = {
    ...video,
    id: `vid_${'0'.repeat(26)}`,
    status: 'submitting' as const,
    prompt: 'a red fox '.repeat(20),
  };
  const lines = listLines([long], nowMs, 80);
  expect(lines[0]).toMatch(/^ID +STATUS +CREDITS +AGE +PROMPT$/);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});

test('an estimate names price, what is left, and that the sandbox spends nothing real', () => {
  const estimate: Estimate = {
    provider: 'sandbox',
    product: 'text2video',
    model: 'kling-2.6',
    mode: 'pro',
    duration: 10,
    aspect_ratio: '9:16',
    sound: false,
    estimated_credits: 5,
    estimated_cost: { amount: '0.70', currency: 'USD' },
    price_basis: '0.5 credits/s x 10 s',
    available_credits: 1,
    within_budget: false,
    queue: { position: 1, starts_at: null, ends_at: null },
    warnings: [{ code: 'model_retired', message: 'Use another.' }],
  };
  expect(estimateLines(estimate, nowMs)).toEqual([
    'kling-2.6 pro, 10 s, 9:16: 5 credits (US$0.70); 1 credit left: NOT ENOUGH',
    'The provider is the sandbox: nothing real is spent.',
    'Queue: position 1',
    'Note: Use another.',
  ]);
});

test('a budget without a limit says so', () => {
  const budget = {
    scope: 'ws',
    period: 'total',
    limit_credits: null,
    held_credits: 1,
    captured_credits: 2.5,
    available_credits: null,
  };
  expect(budgetLines(budget)).toEqual(['limit     none', 'held      1 credit', 'spent     2.5 credits']);
});

test('spans and sizes are short', () => {
  expect([5_000, 99_000, 200_000, 7_500_000, 200_000_000].map(span)).toEqual([
    '5 s',
    '99 s',
    '3 min',
    '2 h 5 min',
    '2 d',
  ]);
  expect([12, 34_567, 1_234_567].map(size)).toEqual(['12 B', '35 kB', '1.2 MB']);
});
