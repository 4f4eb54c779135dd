import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { describeApi } from './describe-api.ts';
import { renderErrorDocs } from './error-docs.ts';

const docs = new URL('../../../../docs/', import.meta.url);

test('docs/errors.md is what scripts/generate-error-docs.ts writes', async () => {
  expect(await readFile(new URL('errors.md', docs), 'utf8')).toBe(renderErrorDocs());
});

test('docs/openapi.json is what scripts/generate-openapi.ts writes', async () => {
  expect(await readFile(new URL('openapi.json', docs), 'utf8')).toBe(await describeApi(manifest.version));
});

test('every reference inside the OpenAPI document leads somewhere, and every operation has a name of its own', async () => {
  const text = await describeApi('1');
  const document = JSON.parse(text) as {
    openapi: string;
    components: { schemas: Record<string, unknown> };
    paths: Record<string, Record<string, { operationId?: string }>>;
  };
  expect(document.openapi).toBe('3.1.0');
  const references = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]);
  expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
  const names = Object.values(document.paths).flatMap((path) => Object.values(path).map((one) => one.operationId));
  expect(names).not.toContain(undefined);
  expect(new Set(names).size).toBe(names.length);
});
