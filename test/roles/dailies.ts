/** `dailies` as processes of their own, with nothing of our environment. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { eventually, tempFolder } from '../servers/spawn.ts';

const program = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface Running {
  /** Everything that it printed so far, standard output and error. */
  output(): string;
  /** Resolves to the first match in what it prints. @throws Error with the output when it ends before */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
  /** Ends it gracefully. Safe to call twice. */
  stop(): Promise<Ended>;
}

export type Env = Readonly<Record<string, string>>;

/** @param nodeArgs before the program, for hooks into its loading */
export function startDailies(args: readonly string[], env: Env, nodeArgs: readonly string[] = []): Running {
  const child: ChildProcess = spawn(process.execPath, ['--conditions=source', ...nodeArgs, program, ...args], {
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk));
  const ended = once(child, 'close').then(([code]): Ended => ({ code, output }));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  void ended.then(() => process.off('exit', killAtExit));
  return {
    output: () => output,
    says: (pattern) =>
      eventually(`dailies ${args.join(' ')} says ${pattern}`, () => {
        const match = pattern.exec(output);
        if (match) return match;
        if (hasEnded()) throw new Error(`dailies ${args.join(' ')} ended with ${child.exitCode}: ${output}`);
        return undefined;
      }),
    signal: (signal) => void child.kill(signal),
    ended,
    async stop() {
      if (!hasEnded()) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
  };
}

/** One that ends with the test at the latest. */
export function startForTest(args: readonly string[], env: Env): Running {
  const running = startDailies(args, env);
  onTestFinished(async () => void (await running.stop()));
  return running;
}

/** A copy, for the time of a test, of the data folder in `folder`. @returns its path */
export async function copyOfData(folder: string): Promise<string> {
  const copy = await tempFolder('data-copy');
  onTestFinished(() => copy.remove());
  await cp(join(folder, 'data'), join(copy.path, 'data'), { recursive: true });
  return join(copy.path, 'data');
}

/** Runs it to its end. */
export function runDailies(args: readonly string[], env: Env): Promise<Ended> {
  return startDailies(args, env).ended;
}

/** The address that a role or a whole server prints when it is ready. */
export async function addressOf(running: Running): Promise<string> {
  const match = await running.says(/Dailies(?: \w+)? is ready(?:\s+(?:on )?(http:\/\/[^\s,]+))?/);
  return match[1] ?? '';
}

export interface Api {
  get(path: string): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Body }>;
  post(path: string, body: unknown, headers?: Env): ReturnType<Api['get']>;
}

/** What tests read of an answer. */
export interface Body {
  readonly [name: string]: unknown;
}

export function createApi(url: string, key: string): Api {
  const ask = async (path: string, init: RequestInit): ReturnType<Api['get']> => {
    const response = await fetch(new URL(path, url), init);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? (JSON.parse(text) as Body) : {} };
  };
  const authorization = `Bearer ${key}`;
  return {
    get: (path) => ask(path, { headers: { authorization } }),
    post: (path, body, headers = {}) =>
      ask(path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  };
}
