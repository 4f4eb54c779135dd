import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createDailies } from '@dailies/sdk';
import { ChildError, serverReady, startChild, type Child } from './child-process.ts';
import { findConnection } from './connection.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { createPrinter } from './printer.ts';
import { runCli } from './program.ts';

const defaultPrompt = 'a red fox running through fresh snow';
const startLimitMs = 60_000;

/**
 * The whole road once: server and sandbox on free ports and in a folder of their own, one prompt, one playable file.
 * Nothing of the caller's environment reaches the server, so it cannot spend real credits or meet another one's data.
 */
export async function runDemo(words: readonly string[], io: Io): Promise<ExitCode> {
  const printer = createPrinter(io, false);
  const prompt = words.join(' ').trim() || defaultPrompt;
  printer.line(`Dailies demo: "${prompt}"`);
  const { server, folder } = await startServer(io);
  try {
    const here = relative(io.cwd, folder);
    printer.line(`Server and sandbox run on free ports; data and log are in ${here}`);
    const inside: Io = { ...io, env: { DATA_DIR: folder, npm_lifecycle_event: io.env['npm_lifecycle_event'] } };
    const code = await runCli(['generate', prompt, '--yes', '--output', folder], inside);
    if (code !== exitCodes.ok) {
      printer.error(`The demo failed. What the server did: ${join(folder, 'server.log')}`);
      return code;
    }
    const id = await newestVideo(inside);
    printer.line();
    await runCli(['show', id], inside);
    printer.line();
    printer.line(`See it again: DATA_DIR=${here} npm start, and DATA_DIR=${here} npx dailies show ${id} --json`);
    printer.line('Playable file:');
    printer.line(join(folder, `${id}.mp4`));
    return exitCodes.ok;
  } finally {
    await server.stop();
  }
}

/** In `.dailies-demo`, which keeps what earlier demos made; beside another demo that runs, in a folder with a number. */
async function startServer(io: Io): Promise<{ readonly server: Child; readonly folder: string }> {
  for (let number = 1; ; number++) {
    const folder = join(io.cwd, number === 1 ? '.dailies-demo' : `.dailies-demo-${String(number)}`);
    await mkdir(folder, { recursive: true });
    const env = { DATA_DIR: folder, PORT: '0', CALLBACKS_PORT: '0', SANDBOX_PORT: '0', KLING_PROVIDER: 'sandbox' };
    const logFile = join(folder, 'server.log');
    try {
      const child = { args: ['serve'], env, logFile, ready: serverReady, timeoutMs: startLimitMs };
      return { server: await startChild(child), folder };
    } catch (error) {
      const inUse = error instanceof ChildError && error.exitCode === exitCodes.unavailable;
      if (!inUse || number === 3) throw error;
    }
  }
}

async function newestVideo(io: Io): Promise<string> {
  const { url, apiKey } = await findConnection({}, io);
  const { videos } = createDailies({ url, ...(apiKey === undefined ? {} : { apiKey }) });
  const { data } = await videos.list({ limit: 1 }).page();
  const [video] = data;
  if (!video) throw new Error('the demo server has no video');
  return video.id;
}
