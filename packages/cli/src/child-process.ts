import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ChildOptions {
  /** The command line of `dailies`, without its own name. */
  readonly args: readonly string[];
  /** The whole environment: nothing of ours is inherited, so that a test run never meets real credentials. */
  readonly env: Readonly<Record<string, string>>;
  /** Everything that it prints goes here, too. */
  readonly logFile: string;
  /** Matches the line that says that it is ready. */
  readonly ready: RegExp;
  readonly timeoutMs: number;
}

export interface Child {
  /** The groups of the line that matched `ready`. */
  readonly match: RegExpExecArray;
  /** Ends it gracefully; by force after 30 s. */
  stop(): Promise<void>;
}

/** A child that ended before it was ready. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null) {
    super(message);
    this.exitCode = exitCode;
  }
}

const program = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url));

/**
 * Starts `dailies` as a process of its own. Resolves when it is ready.
 * @throws ChildError with the last lines that it printed
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = spawn(process.execPath, [...process.execArgv, program, ...options.args], {
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  const log = createWriteStream(options.logFile, { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const match = await waitUntilReady(child, options);
  return { match, stop: () => stop(child) };
}

async function waitUntilReady(child: ChildProcess, options: ChildOptions): Promise<RegExpExecArray> {
  const tail: string[] = [];
  const fail = (what: string): ChildError => {
    const said = tail.slice(-15).join('\n');
    return new ChildError(
      `dailies ${options.args[0] ?? ''} ${what}. It said:\n${said}\nAll of it: ${options.logFile}`,
      child.exitCode,
    );
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(fail(`was not ready within ${String(options.timeoutMs / 1000)} s`));
    }, options.timeoutMs);
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        tail.push(line);
        const match = options.ready.exec(line);
        if (!match) return;
        clearTimeout(timer);
        resolve(match);
      });
    }
    child.once('close', (code) => {
      clearTimeout(timer);
      reject(fail(`ended with exit code ${String(code)} before it was ready`));
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await ended;
  clearTimeout(timer);
}

/** The line of `serve`, and of a single role. */
export const serverReady = /Dailies(?: \w+)? is ready(?:\s+(?:on )?(http:\/\/[^\s,]+))?/;
