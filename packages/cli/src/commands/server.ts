import type { Command } from 'commander';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { interruptible } from '../interrupt.ts';
import type { Io } from '../io.ts';
import { createPrinter } from '../printer.ts';

const roles = {
  serve: 'everything in one process; embedded (nothing to install) unless parts are configured',
  api: 'only the HTTP API',
  worker: 'only the worker: submits, settles, archives, notifies',
  callbacks: "only the receiver of Kling's callbacks",
} as const;

interface ServerOptions {
  readonly port?: string;
  readonly dataDir?: string;
}

/** The server's own roles. The server is loaded only here: client commands start without it. */
export function addServerCommands(program: Command, io: Io, finish: (code: ExitCode) => void): void {
  for (const [name, description] of Object.entries(roles)) {
    const role = name as keyof typeof roles; // a key of the closed table
    program
      .command(role)
      .description(`run ${description}`)
      .option('--port <port>', role === 'callbacks' ? 'sets CALLBACKS_PORT' : 'sets PORT')
      .option('--data-dir <folder>', 'sets DATA_DIR')
      .addHelpText('after', '\nEverything else is configured by environment variables; see docs/configuration.md.')
      .action(async (options: ServerOptions) => {
        finish(await runRole(role, options, io));
      });
  }
}

async function runRole(role: keyof typeof roles, options: ServerOptions, io: Io): Promise<ExitCode> {
  const env = {
    ...io.env,
    ...(options.port === undefined ? {} : { [role === 'callbacks' ? 'CALLBACKS_PORT' : 'PORT']: options.port }),
    ...(options.dataDir === undefined ? {} : { DATA_DIR: options.dataDir }),
  };
  const { runServer } = await import('@dailies/server');
  const printer = createPrinter(io, false);
  const out = (text: string): void => text.split('\n').forEach((line) => printer.line(line));
  const code = await interruptible(io, (signal) => runServer(role, { env, signal, out }));
  const known = Object.values(exitCodes).find((value) => value === code);
  return known ?? exitCodes.failed;
}
