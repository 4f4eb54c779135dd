import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Io } from './io.ts';

export interface Connection {
  readonly url: string;
  readonly apiKey: string | undefined;
}

export interface ConnectionFlags {
  readonly url?: string;
  readonly apiKey?: string;
}

interface Source {
  readonly url: string | undefined;
  readonly apiKey: string | undefined;
}

const defaultUrl = 'http://127.0.0.1:8000';

/**
 * Where the server is and which key opens it: flags, then `DAILIES_URL` / `DAILIES_API_KEY`, then the data folder of a
 * local server (`DATA_DIR`, else the nearest `.dailies` upwards), then the user's `~/.config/dailies/config.json`.
 * A key that was found beside one address is never sent to another.
 */
export async function findConnection(
  flags: ConnectionFlags,
  io: Pick<Io, 'env' | 'cwd' | 'home'>,
): Promise<Connection> {
  const given = {
    url: flags.url ?? filled(io.env['DAILIES_URL']),
    apiKey: flags.apiKey ?? filled(io.env['DAILIES_API_KEY']),
  };
  const local = await readFolder(io);
  const user = await readUserConfig(io);
  const url = given.url ?? local?.url ?? (local ? defaultUrl : undefined) ?? user.url ?? defaultUrl;
  const own = [local, user].find((source) => source?.apiKey !== undefined && sameOrigin(source.url ?? defaultUrl, url));
  return { url, apiKey: given.apiKey ?? own?.apiKey };
}

/** What a running (or once running) local server wrote: `api-key`, and its address in `server.json`. */
async function readFolder(io: Pick<Io, 'env' | 'cwd'>): Promise<Source | undefined> {
  const dataDir = filled(io.env['DATA_DIR']);
  if (dataDir !== undefined) return readServerFolder(resolve(io.cwd, dataDir));
  for (let folder = io.cwd; ; folder = dirname(folder)) {
    const found = await readServerFolder(join(folder, '.dailies'));
    if (found) return found;
    if (dirname(folder) === folder) return undefined;
  }
}

async function readServerFolder(folder: string): Promise<Source | undefined> {
  const apiKey = filled((await readOptional(join(folder, 'api-key')))?.trim());
  const { url } = readObject(await readOptional(join(folder, 'server.json')));
  if (apiKey === undefined && url === undefined) return undefined;
  return { url: typeof url === 'string' ? url : undefined, apiKey };
}

async function readUserConfig(io: Pick<Io, 'env' | 'home'>): Promise<Source> {
  const folder = filled(io.env['XDG_CONFIG_HOME']) ?? join(io.home, '.config');
  const { url, api_key: apiKey } = readObject(await readOptional(join(folder, 'dailies', 'config.json')));
  return {
    url: typeof url === 'string' ? url : undefined,
    apiKey: typeof apiKey === 'string' ? filled(apiKey) : undefined,
  };
}

function readObject(text: string | undefined): Readonly<Record<'url' | 'api_key', unknown>> {
  const nothing = { url: undefined, api_key: undefined };
  try {
    const parsed: unknown = JSON.parse(text ?? '{}');
    return typeof parsed === 'object' && parsed !== null ? { ...nothing, ...parsed } : nothing;
  } catch {
    return nothing; // a file that is being written; the next source decides
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** `localhost` and `127.0.0.1` are one host here: a local server may be written either way. */
function sameOrigin(one: string, other: string): boolean {
  const origin = (url: string): string => {
    if (!URL.canParse(url)) return url;
    const parsed = new URL(url);
    if (parsed.hostname === 'localhost' || parsed.hostname === '[::1]') parsed.hostname = '127.0.0.1';
    return parsed.origin;
  };
  return origin(one) === origin(other);
}

function filled(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
