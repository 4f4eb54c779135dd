/** Real PostgreSQL clusters on 127.0.0.1, and empty databases on servers that run already. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, readFile, writeFile } from 'node:fs/promises';
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { findProgram, freePort, missingPrograms, startProgram, tempFolder, type Program } from './spawn.ts';

export interface PostgresServer {
  /** Of the user postgres, who owns everything; to its database postgres. */
  readonly url: string;
  readonly port: number;
  /** Ends the server as a crash would: every connection breaks, and new ones are refused. */
  halt(): Promise<void>;
  /** Starts it again where it was, with what was committed. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export interface PostgresServerOptions {
  /** Only TLS connections are let in; with these PEM texts. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** The user's password is asked for; none by default. */
  readonly password?: string;
}

export interface EmptyDatabase {
  readonly url: string;
  /** Ends every connection to it, as an administrator or a fail-over would. @returns how many */
  terminateConnections(): Promise<number>;
  drop(): Promise<void>;
}

const run = promisify(execFile);

/** Why it cannot be started here; null when it can. */
export function missingPostgres(): string | null {
  if (binary('postgres') === null) return 'PostgreSQL is not installed';
  // A root user cannot run the server itself.
  return isRoot() ? missingPrograms('setpriv') : null;
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const folder = await tempFolder('postgres');
  const data = join(folder.path, 'data');
  let program: Program | undefined;
  async function stop(): Promise<void> {
    await program?.stop('SIGINT');
    await folder.remove();
  }
  try {
    const port = await freePort();
    const owner = isRoot() ? await idsOf('postgres') : null;
    const own = async (path: string): Promise<void> => (owner ? chown(path, owner.uid, owner.gid) : undefined);
    await own(folder.path);
    const passwordFile = join(folder.path, 'password');
    await writeFile(passwordFile, options.password ?? 'unused', { mode: 0o600 });
    await own(passwordFile);
    const login = options.password === undefined ? 'trust' : 'scram-sha-256';
    const [initdb = '', ...initArgs] = asOwner('initdb', [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      login,
      '--no-sync',
      '--pwfile',
      passwordFile,
    ]);
    await run(initdb, initArgs, { cwd: folder.path });
    const settings = ['-D', data, '-p', String(port), '-k', '', '-c', 'listen_addresses=127.0.0.1'];
    settings.push('-c', 'max_connections=200', '-c', 'shared_buffers=32MB');
    if (options.tls) {
      for (const [name, text] of Object.entries({
        'server.crt': options.tls.certificate,
        'server.key': options.tls.key,
      })) {
        await writeFile(join(data, name), text, { mode: 0o600 });
        await own(join(data, name));
      }
      await writeFile(join(data, 'pg_hba.conf'), `hostssl all all 127.0.0.1/32 ${login}\n`);
      settings.push('-c', 'ssl=on');
    }
    const url = `postgres://postgres${options.password === undefined ? '' : `:${options.password}`}@127.0.0.1:${port}/postgres`;
    const start = async (): Promise<Program> => {
      const [name = '', ...args] = asOwner('postgres', settings);
      return startProgram(name, args, {
        cwd: folder.path,
        logFile: join(folder.path, 'log'),
        ready: () => answers(url),
      });
    };
    program = await start();
    return {
      url,
      port,
      async halt() {
        await program?.stop('SIGQUIT');
      },
      async resume() {
        program = await start();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A new database on a server on which databases can be created. */
export async function createPostgresDatabase(serverUrl: string): Promise<EmptyDatabase> {
  const name = `dailies_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  await askPostgres(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async terminateConnections() {
      const rows = await askPostgres(
        serverUrl,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      );
      return rows.length;
    },
    drop: async () => void (await askPostgres(serverUrl, `drop database if exists ${name} with (force)`)),
  };
}

/**
 * A server on which tests may create databases: the one that is named, or a local one when it answers. TEST_DATABASE_URL puts every test on
 * it; with TEST_POSTGRES_URL only those that need PostgreSQL.
 */
export async function reachablePostgres(): Promise<string | null> {
  const { TEST_DATABASE_URL: forAll, TEST_POSTGRES_URL: forSome } = process.env;
  const url = forAll ?? forSome ?? 'postgres://postgres@127.0.0.1:5432/postgres';
  return (await answers(url)) ? url : null;
}

export interface TestAuthority {
  /** The PEM text that a client trusts. */
  readonly certificate: string;
  /** A certificate of 127.0.0.1 and localhost unless other names are said, as `DNS:name` or `IP:address`. */
  issue(names?: readonly string[]): Promise<{ readonly certificate: string; readonly key: string }>;
  remove(): Promise<void>;
}

/** Certificates by openssl: a new authority that nobody knows. */
export async function createTestAuthority(): Promise<TestAuthority> {
  const folder = await tempFolder('ca');
  const file = (name: string): string => join(folder.path, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
  ]);
  let issued = 0;
  return {
    certificate: await readFile(file('ca.crt'), 'utf8'),
    async issue(names = ['IP:127.0.0.1', 'DNS:localhost']) {
      const base = `server-${issued++}`;
      await writeFile(file(`${base}.ext`), `subjectAltName=${names.join(',')}\n`);
      await run('openssl', [
        'req',
        ...newKey,
        '-keyout',
        file(`${base}.key`),
        '-out',
        file(`${base}.csr`),
        '-subj',
        '/CN=server',
      ]);
      const signing = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2'];
      await run('openssl', [
        'x509',
        '-req',
        '-in',
        file(`${base}.csr`),
        ...signing,
        '-extfile',
        file(`${base}.ext`),
        '-out',
        file(`${base}.crt`),
      ]);
      return {
        certificate: await readFile(file(`${base}.crt`), 'utf8'),
        key: await readFile(file(`${base}.key`), 'utf8'),
      };
    },
    remove: () => folder.remove(),
  };
}

async function answers(url: string): Promise<boolean> {
  return askPostgres(url, 'select 1').then(
    () => true,
    // A server that lets in TLS only does answer.
    (error: unknown) => error instanceof Error && /no encryption/.test(error.message),
  );
}

/** Runs one statement on a connection of its own. @returns its rows */
export async function askPostgres(url: string, statement: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(statement)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Debian keeps each version's programs in a folder of its own; the newest is taken. */
function binary(name: string): string | null {
  const root = '/usr/lib/postgresql';
  let versions: string[] = [];
  try {
    versions = readdirSync(root).toSorted((left, right) => Number(right) - Number(left));
  } catch {
    // Not Debian.
  }
  for (const version of versions) {
    const path = join(root, version, 'bin', name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Only the libraries of that version.
    }
  }
  return findProgram(name);
}

/** The command, run by the user postgres when we are root: the server refuses root. */
function asOwner(name: string, args: readonly string[]): string[] {
  const program = binary(name) ?? name;
  return isRoot()
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', program, ...args]
    : [program, ...args];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function idsOf(user: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, user])).stdout)),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
