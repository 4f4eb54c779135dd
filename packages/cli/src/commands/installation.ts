import type { Command } from 'commander';
import type * as server from '@dailies/server';
import { CommandError } from '../command-error.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { interruptible } from '../interrupt.ts';
import type { Io } from '../io.ts';
import { createPrinter, type Printer } from '../printer.ts';
import { table } from '../render/table.ts';
import { reportError } from '../report-error.ts';

type Server = typeof server;
type Work = (loaded: Server, options: server.AdminOptions, printer: Printer) => Promise<ExitCode>;

/** Verbs on the database itself, for operators; they need no running server. It is loaded only here. */
export function addInstallationCommands(program: Command, io: Io, finish: (code: ExitCode) => void): void {
  const run = async (command: Command, env: Io['env'], work: Work): Promise<void> => {
    const asJson = command.optsWithGlobals<{ json?: boolean }>().json === true;
    const printer = createPrinter(io, asJson);
    try {
      const loaded = await import('@dailies/server');
      const out = (line: string): void => printer.line(line);
      finish(
        await interruptible(io, (signal) =>
          work(loaded, { env, signal, out }, printer).catch((error: unknown) => {
            if (signal.aborted) return exitCodes.interrupted;
            throw explain(error, loaded);
          }),
        ),
      );
    } catch (error) {
      finish(reportError(error, undefined, printer, asJson));
    }
  };

  program
    .command('migrate')
    .description('bring the schema of DATABASE_URL up to date; several may run at once')
    .addHelpText('after', '\nWith DAILIES_API_KEY set, that key works afterwards: the first one of a new installation.')
    .action((_options: unknown, command: Command) => run(command, io.env, migrate));

  const keys = program.command('keys').description('API keys, in the database of DATABASE_URL or of a stopped server');
  keys
    .command('create')
    .description('make a key and print it, this once')
    .requiredOption('--name <name>', 'what or whom it is for')
    .action(({ name }: { name: string }, command: Command) => run(command, io.env, createKey(name)));
  keys
    .command('list')
    .description('every key, without its text')
    .action((_options: unknown, command: Command) => run(command, io.env, listKeys));
  keys
    .command('revoke <id>')
    .description('end a key; servers refuse it within 10 s')
    .action((id: string, _options: unknown, command: Command) => run(command, io.env, revokeKey(id)));

  program
    .command('move')
    .description('move a stopped embedded server (DATA_DIR) into an empty PostgreSQL database')
    .option('--to <url>', 'sets DATABASE_URL, which other users of this machine cannot see')
    .option('--files', 'copy the files into S3_BUCKET or GCS_BUCKET, too; else they stay in DATA_DIR')
    .action(({ to, files }: { to?: string; files?: boolean }, command: Command) => {
      const env = to === undefined ? io.env : { ...io.env, DATABASE_URL: to };
      return run(command, env, move(files === true));
    });
}

const migrate: Work = async (loaded, options, printer) => {
  const { applied, keyRegistered, hasKey } = await loaded.migrateInstallation(options);
  printer.json({ applied, key_registered: keyRegistered, has_key: hasKey });
  printer.line(applied.length > 0 ? `Applied: ${applied.join(', ')}.` : 'The schema is up to date.');
  if (keyRegistered) printer.line('The API key of DAILIES_API_KEY works.');
  else if (!hasKey) printer.line('There is no API key yet: dailies keys create --name NAME');
  return exitCodes.ok;
};

function createKey(name: string): Work {
  return async (loaded, options, printer) => {
    const { id, key } = await loaded.withKeys(options, (keys) => keys.create(name));
    printer.json({ id, name, key });
    printer.line(key);
    return exitCodes.ok;
  };
}

const listKeys: Work = async (loaded, options, printer) => {
  const keys = await loaded.withKeys(options, (all) => all.list());
  printer.json({
    data: keys.map(({ id, name, createdAt, revokedAt }) => ({
      id,
      name,
      created_at: createdAt.toISOString(),
      revoked_at: revokedAt?.toISOString() ?? null,
    })),
  });
  const rows = keys.map(({ id, name, createdAt, revokedAt }) => [
    id,
    name,
    createdAt.toISOString(),
    revokedAt === null ? '-' : revokedAt.toISOString(),
  ]);
  for (const line of table(['ID', 'NAME', 'MADE', 'REVOKED'], rows, printer.columns)) printer.line(line);
  return exitCodes.ok;
};

function revokeKey(id: string): Work {
  return async (loaded, options, printer) => {
    if (!(await loaded.withKeys(options, (keys) => keys.revoke(id)))) {
      throw new CommandError('not_found', `there is no working key ${JSON.stringify(id)}`, exitCodes.notFound);
    }
    printer.json({ id, revoked: true });
    printer.line(`${id} is revoked.`);
    return exitCodes.ok;
  };
}

function move(withFiles: boolean): Work {
  return async (loaded, options, printer) => {
    const moved = await loaded.moveInstallation({ ...options, withFiles });
    printer.json({
      from: moved.from,
      to: moved.to,
      rows: Object.fromEntries(moved.tables.map(({ table: name, rows }) => [name, rows])),
      ledger: Object.fromEntries(moved.ledger.map(({ account, credits }) => [account, credits])),
      files: moved.files,
    });
    const rows = moved.tables.filter((each) => each.rows > 0).map((each) => [each.table, String(each.rows)]);
    for (const line of table(['TABLE', 'ROWS'], rows, printer.columns)) printer.line(line);
    const sums = moved.ledger.map(({ account, credits }) => `${account} ${credits}`).join(', ');
    printer.line(`Ledger on both sides: ${sums || 'empty'}.`);
    if (moved.files) printer.line(`Files: ${moved.files.copied} copied, ${moved.files.found} there already.`);
    else printer.line(`Files stay in ${moved.from}: give DATA_DIR to the processes that serve and store them.`);
    printer.line(`Moved to ${moved.to}. Start with DATABASE_URL; ${moved.from} is kept and marked as moved.`);
    return exitCodes.ok;
  };
}

function explain(error: unknown, loaded: Server): unknown {
  if (error instanceof loaded.ConfigError) {
    return new CommandError('configuration', error.message, exitCodes.configuration);
  }
  if (error instanceof CommandError || !(error instanceof Error)) return error;
  return new CommandError('unavailable', error.message, exitCodes.unavailable);
}
