/** The compose file as compose itself resolves it: its settings read by docker-compose, nothing of it rebuilt here. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { findProgram, tempFolder } from '../servers/spawn.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface ComposeService {
  readonly image: string;
  readonly build?: unknown;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks?: Readonly<Record<string, unknown>>;
  readonly profiles?: readonly string[];
  readonly restart?: string;
  readonly logging?: { readonly options?: Readonly<Record<string, string>> };
  readonly init?: boolean;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly replicas?: number; readonly resources?: { readonly limits?: unknown } };
}

export interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const profiles = ['gateway', 'storage', 'monitoring', 'sandbox'];

/** The example of the env file, with `values` filled in. */
export async function envFileWith(values: Readonly<Record<string, string>>): Promise<string> {
  const example = await readFile(join(repository, 'deploy/compose.env.example'), 'utf8');
  const names = new Set(Object.keys(values));
  const lines = example.split('\n').filter((line) => !names.has(/^#?(\w+)=/.exec(line)?.[1] ?? ''));
  return [...lines, ...Object.entries(values).map(([name, value]) => `${name}=${value}`), ''].join('\n');
}

/**
 * What `docker-compose config` makes of the file with all profiles on.
 * @throws Error with what docker-compose said against it
 */
export async function readCompose(values: Readonly<Record<string, string>>): Promise<ComposeProject> {
  const folder = await tempFolder('compose');
  try {
    const envFile = join(folder.path, 'env');
    await writeFile(envFile, await envFileWith(values), { mode: 0o600 });
    const { stdout } = await promisify(execFile)(
      findProgram('docker-compose') ?? 'docker-compose',
      [
        '--env-file',
        envFile,
        '-f',
        join(repository, 'docker-compose.yml'),
        ...profiles.flatMap((profile) => ['--profile', profile]),
        'config',
      ],
      // Nothing of this shell: it would win over the file.
      { env: { PATH: process.env['PATH'], HOME: folder.path }, cwd: folder.path },
    );
    // It writes a dollar as two, as it reads it.
    return parse(stdout.replaceAll('$$', '$')) as ComposeProject; // the program's own normal form
  } finally {
    await folder.remove();
  }
}

/** @param text such as `40s` or `1m30s` */
export function toMs(text: string): number {
  const [, minutes = '0', seconds = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  return (Number(minutes) * 60 + Number(seconds)) * 1_000;
}
