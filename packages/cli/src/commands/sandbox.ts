import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { SandboxOptions } from '@dailies/sandbox';
import { CommandError } from '../command-error.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { interruptible } from '../interrupt.ts';
import type { Io } from '../io.ts';
import { createPrinter } from '../printer.ts';
import { reportError } from '../report-error.ts';
import { toNumber } from './request-options.ts';

interface SandboxFlags {
  readonly host: string;
  readonly port: number;
  readonly speed?: number;
  readonly taskMs?: number;
  readonly taskSpread?: number;
  readonly slots?: number;
  readonly seed?: number;
  readonly files?: 'real' | 'tiny';
  readonly dataDir?: string;
  readonly strict?: boolean;
  readonly retired?: 'accept' | 'refuse';
  readonly repeat?: 'refuse' | 'return-first' | 'create-second';
  readonly visibilityLag?: number;
  readonly range: boolean;
  readonly urlLifetime?: number;
  readonly webhookSecret?: readonly string[];
  readonly publicUrl?: string;
}

/** A local Kling on its own. It is loaded only here. */
export function addSandbox(program: Command, io: Io, finish: (code: ExitCode) => void): void {
  program
    .command('sandbox')
    .description('run a local Kling: both API generations, real MP4 files, no credits')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', '0 takes a free one', toNumber, 8002)
    .option('--speed <factor>', 'how many times faster than Kling; default 1', toNumber)
    .option('--task-ms <ms>', 'fixed time of every task, instead of --speed', toNumber)
    .option('--task-spread <share>', 'with --task-ms: up to this share longer or shorter, 0 to 1', toNumber)
    .option('--slots <number>', 'tasks at once per model; default 5', toNumber)
    .option('--seed <number>', 'seed of every random choice; default 1', toNumber)
    .addOption(
      new Option('--files <kind>', 'real: full-size clips; tiny: at most 20 KB, for load').choices(['real', 'tiny']),
    )
    .option('--data-dir <folder>', 'keep tasks and files here; without it they end with the process')
    .option('--strict', 'refuse unknown fields, where the live service lets them pass')
    .addOption(new Option('--retired <policy>', 'models that Kling was seen to refuse').choices(['accept', 'refuse']))
    .addOption(
      new Option('--repeat <policy>', 'what a repeated external task id gets; default refuse').choices([
        'refuse',
        'return-first',
        'create-second',
      ]),
    )
    .option('--visibility-lag <ms>', 'until look-ups show a new task', toNumber)
    .option('--no-range', 'files without Range requests')
    .option('--url-lifetime <ms>', 'until a file URL stops working; default 30 days', toNumber)
    .option('--webhook-secret <secret...>', 'whsec_... that signs callbacks; none: unsigned')
    .option('--public-url <url>', 'origin for file URLs when clients reach the sandbox by another name')
    .action(async (flags: SandboxFlags, command: Command) => {
      const asJson = command.optsWithGlobals<{ json?: boolean }>().json === true;
      try {
        finish(await runSandbox(flags, io, asJson));
      } catch (error) {
        finish(reportError(explain(error, flags), undefined, createPrinter(io, asJson), asJson));
      }
    });
}

async function runSandbox(flags: SandboxFlags, io: Io, asJson: boolean): Promise<ExitCode> {
  const { startSandbox, sandboxApiKey, sandboxAccessKey, sandboxSecretKey } = await import('@dailies/sandbox');
  const printer = createPrinter(io, asJson);
  return interruptible(io, async (signal) => {
    const sandbox = await startSandbox(toOptions(flags, io.cwd));
    printer.json({
      url: sandbox.url,
      api_key: sandboxApiKey,
      access_key: sandboxAccessKey,
      secret_key: sandboxSecretKey,
    });
    printer.line(`Sandbox of Kling at ${sandbox.url}`);
    printer.line(`  API key     ${sandboxApiKey}`);
    printer.line(`  access key  ${sandboxAccessKey}`);
    printer.line(`  secret key  ${sandboxSecretKey}`);
    printer.line(`  counters    ${sandbox.url}/_sandbox/stats`);
    printer.line('Use it: KLING_PROVIDER=sandbox SANDBOX_URL=' + sandbox.url + ' dailies serve');
    await new Promise<void>((stop) => {
      if (signal.aborted) stop();
      signal.addEventListener('abort', () => stop(), { once: true });
    });
    await sandbox.close();
    return exitCodes.ok;
  });
}

function toOptions(flags: SandboxFlags, cwd: string): SandboxOptions {
  const { retired, repeat, visibilityLag, range, urlLifetime, webhookSecret, dataDir, ...same } = flags;
  return {
    ...same,
    rangeRequests: range,
    ...(retired && { retiredModels: retired }),
    ...(repeat && { repeatedExternalId: repeat }),
    ...(visibilityLag !== undefined && { visibilityLagMs: visibilityLag }),
    ...(urlLifetime !== undefined && { urlLifetimeMs: urlLifetime }),
    ...(webhookSecret && { webhookSecrets: webhookSecret }),
    ...(dataDir !== undefined && { dataDir: resolve(cwd, dataDir) }),
  };
}

function explain(error: unknown, flags: SandboxFlags): unknown {
  if (error instanceof RangeError) return new CommandError('usage', error.message, exitCodes.usage);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const message = `port ${String(flags.port)} cannot be used (${code}); choose another with --port, 0 takes a free one`;
  return new CommandError('port_taken', message, exitCodes.unavailable);
}
