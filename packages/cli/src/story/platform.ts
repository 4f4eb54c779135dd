import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDailies, type Dailies } from '@dailies/sdk';
import { serverReady, startChild, type Child } from '../child-process.ts';
import { freePort } from '../free-port.ts';
import type { StoryOptions } from './options.ts';

export interface StoryPlatform {
  readonly dailies: Dailies;
  readonly sandboxUrl: string;
  /** Done to the platform when half of the videos are at Kling, which has to make no difference. @returns what was done */
  readonly disturb?: () => Promise<string>;
  /** Ends every process, newest first. */
  stop(): Promise<void>;
}

const startLimitMs = 90_000;

/** Real processes: a sandbox, and either one embedded server or api, worker and callbacks on PostgreSQL. */
export async function startPlatform(options: StoryOptions, folder: string): Promise<StoryPlatform> {
  const children: Child[] = [];
  const stop = async (): Promise<void> => {
    for (const child of children.splice(0).toReversed()) await child.stop();
  };
  const start = async (args: readonly string[], env: Readonly<Record<string, string>>, ready = serverReady) => {
    const logFile = join(folder, `${args[0] ?? 'dailies'}.log`);
    const child = await startChild({ args, env, logFile, ready, timeoutMs: startLimitMs });
    children.push(child);
    return child;
  };
  try {
    const sandbox = await start(sandboxArgs(options), {}, /"url":"(http:[^"]+)"/);
    const sandboxUrl = sandbox.match[1] ?? '';
    const url = await startServers(options, folder, sandboxUrl, start);
    const apiKey = (await readFile(join(folder, 'data', 'api-key'), 'utf8')).trim();
    return { dailies: createDailies({ url, apiKey }), sandboxUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The command line of the story's sandbox. */
export function sandboxArgs(options: StoryOptions): string[] {
  const { slots, taskMs, taskSpread, seed } = options;
  const numbers = { slots, 'task-ms': taskMs, 'task-spread': taskSpread, seed };
  return ['sandbox', '--json', '--port', '0', '--files', 'tiny', ...Object.entries(numbers).flatMap(toFlag)];
}

function toFlag([name, value]: readonly [string, number]): string[] {
  return [`--${name}`, String(value)];
}

/** @returns the address of the API */
async function startServers(
  options: StoryOptions,
  folder: string,
  sandboxUrl: string,
  start: (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<Child>,
): Promise<string> {
  const callbacksPort = await freePort();
  const env = {
    DATA_DIR: join(folder, 'data'),
    PORT: '0',
    CALLBACKS_PORT: String(callbacksPort),
    KLING_PROVIDER: 'sandbox',
    SANDBOX_URL: sandboxUrl,
    KLING_CALLBACK_URL: `http://127.0.0.1:${String(callbacksPort)}`,
    KLING_GENERATION: options.generation,
    LOG_LEVEL: 'warn',
    ...(options.tier === null ? { KLING_CONCURRENCY: String(options.slots) } : { KLING_TIER: options.tier }),
    ...(options.callbacks === 'lost' ? pollingFor(options.taskMs) : {}),
    ...(options.database === null ? {} : { DATABASE_URL: options.database }),
  };
  const whole = await start(['serve'], env);
  if (options.database === null) return whole.match[1] ?? '';
  // `serve` brought the schema up to date and made the key; from here on each part is a process of its own.
  await whole.stop();
  await start(['callbacks'], env);
  await start(['worker'], env);
  const api = await start(['api'], env);
  return api.match[1] ?? '';
}

/** What a 5 s clip of the default model is expected to take at Kling: the story's tasks stand for those in a fraction of the time. */
const usualTaskMs = 60_000;

/** The server's own polling times fit tasks of a minute and more, so they shrink with the tasks. */
export function pollingFor(taskMs: number): Record<string, string> {
  return { SANDBOX_SPEED: String(usualTaskMs / taskMs), POLL_FLOOR: String(Math.max(10, Math.round(taskMs * 0.025))) };
}
