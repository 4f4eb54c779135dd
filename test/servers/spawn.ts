/** How test servers are started and ended: programs of this machine, on free ports of 127.0.0.1, in folders of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Also where Debian keeps servers, which is not always on the path of a user. */
const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/bin'];

/** The full path of a program; null when it is not installed. */
export function findProgram(name: string): string | null {
  for (const folder of folders) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Why a server cannot be started here; null when all its programs are installed. */
export function missingPrograms(...names: readonly string[]): string | null {
  const missing = names.filter((name) => findProgram(name) === null);
  if (missing.length === 0) return null;
  return `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed`;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @returns ports that are free and differ */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

export interface TempFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function tempFolder(name: string): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), `dailies-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Asks again and again until the answer is not undefined or false. @throws Error naming `what` after `timeoutMs` */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Ends it with a signal and waits for its end; with SIGKILL when it does not end within 10 s. Safe to call twice. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ProgramOptions {
  readonly cwd: string;
  /** Gets what the program prints; shown when it does not start. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Resolves to true once it serves. Asked again and again. */
  readonly ready: () => Promise<boolean>;
  readonly timeoutMs?: number;
}

/** Starts a program in the foreground and waits until it serves. @throws Error with the end of its output */
export async function startProgram(name: string, args: readonly string[], options: ProgramOptions): Promise<Program> {
  const log = await open(options.logFile, 'a');
  const child = spawn(findProgram(name) ?? name, [...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', log.fd, log.fd],
  });
  // A test run that fails early takes its servers along.
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  await log.close();
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (hasEnded()) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }
  try {
    await eventually(
      `${name} serves`,
      async () => {
        if (hasEnded()) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode ?? 'an error'}`);
        return options.ready().catch(() => false);
      },
      options.timeoutMs ?? 30_000,
    );
  } catch (error) {
    await stop('SIGKILL');
    const output = (await readFile(options.logFile, 'utf8').catch(() => '')).slice(-2_000);
    throw new Error(`${name} did not start: ${output}`, { cause: error });
  }
  return { pid: child.pid ?? 0, child, stop };
}

/** Whether something accepts connections there. */
export async function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
