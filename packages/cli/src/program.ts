import { Command, CommanderError } from 'commander';
import type { AddAction } from './commands/action.ts';
import { addAccountCommands } from './commands/account.ts';
import { addDeadLetterCommands } from './commands/dead-letters.ts';
import { addEstimate, addGenerate } from './commands/generate.ts';
import { addSandbox } from './commands/sandbox.ts';
import { addInstallationCommands } from './commands/installation.ts';
import { addServerCommands } from './commands/server.ts';
import { addVideoCommands } from './commands/videos.ts';
import { addWebhookCommands } from './commands/webhooks.ts';
import { findConnection, type ConnectionFlags } from './connection.ts';
import { exitCodeHelp, exitCodes, type ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { printable } from './printable.ts';
import { createPrinter } from './printer.ts';
import { readVersion } from './version.ts';
import { reportError } from './report-error.ts';
import { createSession } from './session.ts';

interface GlobalOptions extends ConnectionFlags {
  readonly json?: boolean;
}

const connectionHelp = `Where the server is and which key opens it, first found:
  --url and --api-key; DAILIES_URL and DAILIES_API_KEY; the nearest .dailies
  folder upwards (or DATA_DIR), written by a local server;
  ~/.config/dailies/config.json with {"url", "api_key"};
  else http://127.0.0.1:8000.`;

/**
 * Runs one command line.
 * @param args without the program's own name
 */
export async function runCli(args: readonly string[], io: Io): Promise<ExitCode> {
  const wantsJson = args.includes('--json');
  let exitCode: ExitCode = exitCodes.ok;

  const program = new Command('dailies')
    .description('The production platform between your product and the Kling AI video API.')
    .option('--url <url>', 'address of the server')
    .option('--api-key <key>', 'API key (better: DAILIES_API_KEY, which other users of this machine cannot see)')
    .option('--json', 'JSON on standard output, errors as JSON on standard error')
    .version(await readVersion(), '-V, --version', 'print the version')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => {
        io.stdout.write(text);
      },
      writeErr: (text) => {
        if (!wantsJson) io.stderr.write(text.split('\n').map(printable).join('\n'));
      },
      getOutHelpWidth: () => Math.min(100, io.stdout.columns),
      getErrHelpWidth: () => Math.min(100, io.stderr.columns),
    })
    .showHelpAfterError('(--help says more)')
    .addHelpText('after', `\n${connectionHelp}\n\n${exitCodeHelp}`)
    .exitOverride();

  const action: AddAction = (command, run) => {
    command.action(async () => {
      const { url: urlFlag, apiKey, json, ...options } = command.optsWithGlobals<GlobalOptions>();
      const flags = { ...(urlFlag === undefined ? {} : { url: urlFlag }), ...(apiKey === undefined ? {} : { apiKey }) };
      const asJson = json === true;
      let url = urlFlag;
      try {
        const connection = await findConnection(flags, io);
        url = connection.url;
        const session = createSession(connection, io, asJson);
        // Commander parsed them by the definitions that stand beside `run`.
        exitCode = await run(session, command.processedArgs as never, options as never);
      } catch (error) {
        exitCode = reportError(error, url, createPrinter(io, asJson), asJson);
      }
    });
  };

  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  addGenerate(program, action);
  addVideoCommands(program, action);
  addEstimate(program, action);
  addAccountCommands(program, action);
  addWebhookCommands(program, action);
  addDeadLetterCommands(program, action);
  addServerCommands(program, io, finish);
  addInstallationCommands(program, io, finish);
  addSandbox(program, io, finish);

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError))
      return reportError(error, undefined, createPrinter(io, wantsJson), wantsJson);
    if (error.exitCode === 0) return exitCodes.ok;
    if (wantsJson) {
      const message = error.message.replace(/^error: /, '');
      createPrinter(io, true).errorJson({ error: { code: 'usage', message, exit_code: exitCodes.usage } });
    }
    return exitCodes.usage;
  }
  return exitCode;
}
