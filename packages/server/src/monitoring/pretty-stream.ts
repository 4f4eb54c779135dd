import type { DestinationStream } from 'pino';
import { z } from 'zod';

const lineSchema = z.looseObject({
  level: z.string(),
  time: z.string(),
  msg: z.string().optional(),
  err: z.unknown().optional(),
  error: z.unknown().optional(),
});

const errorSchema = z.looseObject({
  type: z.string(),
  message: z.string(),
  stack: z.string().optional(),
  cause: z.unknown().optional(),
});

/** Turns JSON log lines into `12:34:56 warn  message key=value`, without what is null, and with the stack of an error below. */
export function createPrettyStream(destination: DestinationStream): DestinationStream {
  return { write: (line) => destination.write(pretty(line)) };
}

function pretty(line: string): string {
  const parsed = lineSchema.safeParse(JSON.parse(line));
  if (!parsed.success) return line;
  const { level, time, msg = '', err, error = err, ...fields } = parsed.data;
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}=${printed(value)}`);
  const clock = new Date(time).toTimeString().slice(0, 8);
  return `${clock} ${level.padEnd(5)} ${msg}${rest.join('')}${error === undefined ? '' : printedError(error)}\n`;
}

/** Its stack, if it has one, else its text; and the same of its causes. */
function printedError(error: unknown): string {
  const parsed = errorSchema.safeParse(error);
  if (!parsed.success) return ` (${printed(error)})`;
  const { type, message, stack, cause } = parsed.data;
  const text = (stack ?? `${type}: ${message}`).replaceAll('\n', '\n    ');
  return `\n    ${text}${cause === undefined ? '' : printedError(cause)}`;
}

function printed(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
