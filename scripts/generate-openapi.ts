import { readFile, writeFile } from 'node:fs/promises';
import { describeApi } from '../packages/server/src/api/describe-api.ts';

const manifest = JSON.parse(await readFile(new URL('../packages/server/package.json', import.meta.url), 'utf8')) as {
  version: string;
}; // our own file
await writeFile(new URL('../docs/openapi.json', import.meta.url), await describeApi(manifest.version));
