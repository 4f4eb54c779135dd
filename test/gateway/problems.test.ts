import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { kindStatuses } from '../../packages/server/src/api/problem.ts';
import { errorCatalogue, type ErrorCode } from '../../packages/server/src/kernel/errors.ts';

test('what the gateway answers by itself says the same as the error catalogue', async () => {
  const file = new URL('../../deploy/nginx/snippets/problems.conf', import.meta.url);
  const texts = [...(await readFile(file, 'utf8')).matchAll(/return (\d+) '(\{.+\})';/g)];
  expect(texts.length).toBeGreaterThanOrEqual(5);
  for (const [, status, text = ''] of texts) {
    const problem = JSON.parse(text) as { code: ErrorCode; title: string; retryable: boolean; status: number }; // judged below
    const { kind, title, retryable } = errorCatalogue[problem.code];
    expect(problem).toMatchObject({ title, retryable, status: Number(status) });
    expect(kindStatuses[kind]).toBe(Number(status));
  }
});
