import { expect, test } from 'vitest';
import { parseQueryString } from './query-string.ts';

test('metadata filters are gathered, in both spellings', () => {
  expect(parseQueryString('limit=5&metadata[team]=a+b&metadata.shot%20no=7')).toEqual({
    limit: '5',
    metadata: { team: 'a b', 'shot no': '7' },
  });
});

test('a repeated name is a list; nothing is dropped', () => {
  expect(parseQueryString('status=queued&status=failed&status=&x')).toEqual({
    status: ['queued', 'failed', ''],
    x: '',
  });
});

test('names of the language are names like any other', () => {
  const query = parseQueryString('__proto__=1&constructor=2&metadata[__proto__]=3');
  expect(Object.keys(query)).toEqual(['__proto__', 'constructor', 'metadata']);
  expect(Object.keys(query['metadata'] ?? {})).toEqual(['__proto__']);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

test('broken escapes are read as they stand', () => {
  expect(parseQueryString('a=%zz&b=%')).toEqual({ a: '%zz', b: '%' });
});
