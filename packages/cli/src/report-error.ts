import { ConnectionError, DailiesError } from '@dailies/sdk';
import { CommandError } from './command-error.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Printer } from './printer.ts';

interface Report {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** Says on standard error what went wrong and how to go on; JSON with `--json`. */
export function reportError(error: unknown, url: string | undefined, printer: Printer, asJson: boolean): ExitCode {
  const report = describe(error, url);
  if (asJson) {
    const facts = error instanceof DailiesError ? factsOf(error) : {};
    printer.errorJson({ error: { code: report.code, message: report.message, ...facts, exit_code: report.exitCode } });
  } else {
    printer.error([`dailies: ${headline(error, report)}`, ...details(error, url)].join('\n'));
  }
  return report.exitCode;
}

function describe(error: unknown, url: string | undefined): Report {
  if (error instanceof CommandError) return error;
  if (error instanceof ConnectionError) return unreachable(error, url);
  if (error instanceof DailiesError) return { code: error.code, message: error.message, exitCode: exitCodeOf(error) };
  if (error instanceof TypeError) return { code: 'usage', message: error.message, exitCode: exitCodes.usage };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'failed', message, exitCode: exitCodes.failed };
}

function unreachable(error: ConnectionError, url: string | undefined): Report {
  const reason = /failed: (.+)\.$/.exec(error.message)?.[1] ?? error.message;
  const message =
    `cannot reach the Dailies server at ${url ?? 'the given address'} (${reason}). ` +
    'Start one with `npm start` (or `dailies serve`), or say where it is with --url or DAILIES_URL.';
  return { code: error.code, message, exitCode: exitCodes.unreachable };
}

function exitCodeOf(error: DailiesError): ExitCode {
  if (error.code === 'timeout') return exitCodes.unreachable;
  switch (error.status) {
    case 400:
    case 413:
    case 415:
      return exitCodes.usage;
    case 401:
    case 403:
      return exitCodes.unauthenticated;
    case 402:
      return exitCodes.overBudget;
    case 404:
      return exitCodes.notFound;
    default:
      return exitCodes.failed;
  }
}

/** The message of a refusal with several mistakes repeats them all, and they follow one by one. */
function headline(error: unknown, { message }: Report): string {
  if (!(error instanceof DailiesError) || error.errors.length < 2) return message;
  return `${typeof error.problem['title'] === 'string' ? error.problem['title'] : 'The request is not valid'}:`;
}

function details(error: unknown, url: string | undefined): string[] {
  if (!(error instanceof DailiesError)) return [];
  const mistakes = error.errors.length < 2 ? [] : error.errors.map(({ pointer, detail }) => `  ${pointer}: ${detail}`);
  const asked = url === undefined ? '' : `The server that was asked is ${url}. `;
  const hint = error.status === 401 ? [`  ${asked}Give its key with DAILIES_API_KEY or --api-key.`] : [];
  const report = error.status !== null && error.status >= 500 && error.requestId !== null;
  return [...mistakes, ...hint, ...(report ? [`  request id ${error.requestId}`] : [])];
}

function factsOf(error: DailiesError): Record<string, unknown> {
  const { type: _type, title: _title, status: _status, detail: _detail, ...extensions } = error.problem;
  return {
    ...extensions,
    status: error.status,
    request_id: error.requestId,
    retryable: error.retryable,
    errors: error.errors,
  };
}
