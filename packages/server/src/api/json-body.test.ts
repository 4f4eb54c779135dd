import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AppError } from '../kernel/errors.ts';
import { parseJsonBody } from './json-body.ts';

function mistakeIn(text: string): string {
  try {
    parseJsonBody(text);
  } catch (error) {
    if (error instanceof AppError && error.code === 'malformed_json') return error.message;
    throw error;
  }
  return 'none';
}

test.each([
  ['{"prompt": hello}', 'a value expected at line 1, column 12.'],
  ['{"prompt": "a"', '"," or "}" expected at line 1, column 15.'],
  ['{"a": 1,\n  }', 'a name in double quotes expected at line 2, column 3.'],
  ["{'a': 1}", 'a name in double quotes expected at line 1, column 2.'],
  ['{"a" 1}', '":" expected at line 1, column 6.'],
  ['[1, 2,]', 'a value expected at line 1, column 7.'],
  ['{"a": "b\nc"}', 'a text closed by a double quote expected at line 1, column 7.'],
  ['{"a": 01}', 'a value expected at line 1, column 7.'],
  ['{"a": 1}}', 'the end expected at line 1, column 9.'],
  ['prompt=x', 'a value expected at line 1, column 1.'],
])('%j: the answer says where reading stopped and what could have stood there', (text, expected) => {
  expect(mistakeIn(text)).toBe(`The body is not JSON: ${expected}`);
});

test('an empty body is named as such', () => {
  expect(mistakeIn('  ')).toBe('The body is empty; send a JSON object.');
});

test('whatever is not JSON gets a place inside the text, and whatever is JSON gets through unchanged', () => {
  const broken = fc
    .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.string({ maxLength: 3 }))
    .map(([text, at, noise]) => text.slice(0, at % (text.length + 1)) + noise + text.slice(at % (text.length + 1)));
  fc.assert(
    fc.property(fc.oneof(broken, fc.json(), fc.string()), (text) => {
      const mistake = mistakeIn(text);
      if (mistake === 'none') {
        expect(parseJsonBody(text)).toEqual(JSON.parse(text));
        return;
      }
      const place = /line (\d+), column (\d+)\.$/.exec(mistake);
      if (!place) {
        expect(text.trim()).toBe('');
        return;
      }
      const line = text.split('\n')[Number(place[1]) - 1] ?? '';
      expect(Number(place[2])).toBeLessThanOrEqual(line.length + 1);
      const before = text.split('\n').slice(0, Number(place[1]) - 1);
      const upTo = [...before, line.slice(0, Number(place[2]) - 1)].join('\n');
      // What was accepted so far can go on to something valid, so the place is not too late.
      expect(mistakeIn(upTo)).not.toContain('the end expected');
    }),
    { numRuns: 500 },
  );
});

test('a hundred thousand open brackets are refused in a moment', () => {
  expect(mistakeIn('['.repeat(100_000))).toContain('a value expected');
});
