import { describe, expect, it } from 'vitest';
import { answerFileRequest, parseRange, type FileRequest } from './http-range.ts';

const file = { bytes: 1000, etag: '"abc"' };
const get = (headers: Omit<FileRequest, 'method'>): ReturnType<typeof answerFileRequest> =>
  answerFileRequest({ method: 'GET', ...headers }, file);

describe('a Range header', () => {
  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-', 0, 999],
    ['bytes=500-599', 500, 599],
    ['bytes=999-', 999, 999],
    ['bytes=500-5000', 500, 999],
    ['bytes=500-99999999999999999999999', 500, 999],
    ['bytes=-1', 999, 999],
    ['bytes=-1000', 0, 999],
    ['bytes=-5000', 0, 999],
    ['BYTES = 1 - 2 ', 1, 2],
  ])('%s is a part', (header, start, end) => {
    expect(parseRange(header, 1000)).toEqual({ kind: 'part', range: { start, end } });
  });

  it.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=-0', 'bytes=99999999999999999999999-'])(
    '%s is outside the file',
    (header) => {
      expect(parseRange(header, 1000)).toEqual({ kind: 'unsatisfiable' });
    },
  );

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=5-2',
    'bytes=a-b',
    'bytes=1-2,4-5',
    'items=0-1',
    'bytes=1.5-2',
    'bytes=--1',
  ])('%s is ignored: the whole file', (header) => {
    expect(parseRange(header, 1000)).toEqual({ kind: 'whole' });
  });

  it('is never satisfiable in an empty file', () => {
    expect(['bytes=0-', 'bytes=0-0', 'bytes=-1'].map((header) => parseRange(header, 0).kind)).toEqual(
      Array(3).fill('unsatisfiable'),
    );
  });
});

describe('an answer about a file', () => {
  it('is the whole file with its length, validator and the offer of ranges', () => {
    expect(get({})).toEqual({
      status: 200,
      headers: { etag: '"abc"', 'accept-ranges': 'bytes', 'content-length': '1000' },
      range: undefined,
      hasBody: true,
    });
  });

  it('is a part with its place in the file', () => {
    expect(get({ range: 'bytes=-100' })).toEqual({
      status: 206,
      headers: {
        etag: '"abc"',
        'accept-ranges': 'bytes',
        'content-length': '100',
        'content-range': 'bytes 900-999/1000',
      },
      range: { start: 900, end: 999 },
      hasBody: true,
    });
  });

  it('names the length when the range is outside, so that a client can ask again', () => {
    const answer = get({ range: 'bytes=1000-' });
    expect(answer).toMatchObject({ status: 416, hasBody: false, headers: { 'content-range': 'bytes */1000' } });
    expect(answer.headers).not.toHaveProperty('content-length');
  });

  it('gives a part under If-Range only of the very same file', () => {
    expect(get({ range: 'bytes=0-9', ifRange: '"abc"' }).status).toBe(206);
    for (const ifRange of ['"other"', 'W/"abc"', 'Mon, 23 Nov 2026 10:00:00 GMT', '']) {
      expect(get({ range: 'bytes=0-9', ifRange })).toMatchObject({ status: 200, range: undefined });
    }
    expect(get({ range: 'bytes=5000-', ifRange: '"other"' }).status).toBe(200);
  });

  it('is 304 for a copy that is still good, before any range is looked at', () => {
    for (const ifNoneMatch of ['"abc"', 'W/"abc"', '*', '"x", "abc"', '"x" , W/"abc"']) {
      expect(get({ ifNoneMatch, range: 'bytes=5000-' })).toMatchObject({ status: 304, hasBody: false });
    }
    expect(get({ ifNoneMatch: '"x"' }).status).toBe(200);
    expect(get({ ifNoneMatch: 'abc' }).status).toBe(200);
  });

  it('to HEAD is what GET would say of the whole file, without a body', () => {
    expect(answerFileRequest({ method: 'HEAD', range: 'bytes=0-1' }, file)).toEqual({ ...get({}), hasBody: false });
    expect(answerFileRequest({ method: 'HEAD', ifNoneMatch: '"abc"' }, file).status).toBe(304);
  });
});
