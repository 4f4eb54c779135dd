import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import type { Session } from '../session.ts';

export type Run<Arguments extends readonly unknown[], Options> = (
  session: Session,
  args: Arguments,
  options: Options,
) => Promise<ExitCode>;

/** Binds a command to what it does; program.ts finds the connection, reports errors and keeps the exit code. */
export type AddAction = <Arguments extends readonly unknown[], Options = object>(
  command: Command,
  run: Run<Arguments, Options>,
) => void;
