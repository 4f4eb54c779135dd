import { readFile } from 'node:fs/promises';

/** The version of this package; its package.json stands above sources and build alike. */
export async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string }; // our own file
  return version;
}
