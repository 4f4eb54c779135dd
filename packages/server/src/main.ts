import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compose, type Platform } from './compose.ts';
import { ConfigError, readConfig, type Config, type Environment, type Role } from './config.ts';
import { asError } from './kernel/errors.ts';
import { createLogger, defaultLogFormat } from './monitoring/log.ts';
import { explainStartFailure } from './start-failure.ts';
import { describePart, describeStart } from './start-text.ts';

export interface RunOptions {
  readonly env: Environment;
  /** Ends the server gracefully. */
  readonly signal: AbortSignal;
  /** Receives lines for the person who started it. */
  readonly out: (line: string) => void;
}

/** Exit codes of sysexits.h. */
const exitConfig = 78;
const exitUnavailable = 69;

/** Runs a role until the signal fires. @returns the exit code: 0 after a clean stop, also of a start that still waited; 78 for configuration, 69 when a part cannot be opened */
export async function runServer(role: Role, options: RunOptions): Promise<number> {
  let config: Config;
  try {
    config = readConfig(options.env, role);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    options.out(error.message);
    return exitConfig;
  }
  const log = createLogger({ level: config.logLevel, format: defaultLogFormat(process.stdout) });
  let platform: Platform;
  try {
    platform = await compose(config, log, options);
  } catch (error) {
    if (options.signal.aborted) return 0;
    options.out(await explainStartFailure(asError(error), config));
    return exitUnavailable;
  }
  try {
    await announce(config, platform, options.out);
    await new Promise<void>((resolve) => {
      if (options.signal.aborted) resolve();
      else options.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    if (role === 'serve') options.out('Stopping: work in hand is finished first.');
  } finally {
    await platform.close();
    await withdraw(config);
  }
  return 0;
}

/** Files by which the CLI finds a local server, and what a person wants to know. */
async function announce(config: Config, platform: Platform, out: RunOptions['out']): Promise<void> {
  for (const warning of config.warnings) out(`Note: ${warning}`);
  if (config.role !== 'serve') {
    out(describePart(config, platform));
    return;
  }
  const { dataDirectory } = config;
  await writeFile(join(dataDirectory, 'server.json'), `${JSON.stringify({ url: platform.urls.api })}\n`);
  await writeFile(join(dataDirectory, 'server.pid'), `${process.pid}\n`);
  for (const line of describeStart(config, platform)) out(line);
}

async function withdraw(config: Config): Promise<void> {
  if (config.role !== 'serve') return;
  for (const name of ['server.pid', 'server.json']) await rm(join(config.dataDirectory, name), { force: true });
}
