import type { DestinationStream } from 'pino';
import { z } from 'zod';

const lineSchema = z.looseObject({
  level: z.string(),
  time: z.string(),
  msg: z.string().optional(),
  err: z.object({ type: z.string().optional(), message: z.string(), stack: z.string().optional() }).optional(),
});

/** Turns JSON log lines into `12:34:56 warn  message key=value`, without what is null, and with the stack of an error below. */
export function createPrettyStream(destination: DestinationStream): DestinationStream {
  return { write: (line) => destination.write(pretty(line)) };
}

function pretty(line: string): string {
  const parsed = lineSchema.safeParse(JSON.parse(line));
  if (!parsed.success) return line;
  const { level, time, msg = '', err, ...fields } = parsed.data;
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}=${printed(value)}`);
  const clock = new Date(time).toTimeString().slice(0, 8);
  const stack = err
    ? `\n    ${(err.stack ?? `${err.type ?? 'Error'}: ${err.message}`).replaceAll('\n', '\n    ')}`
    : '';
  return `${clock} ${level.padEnd(5)} ${msg}${rest.join('')}${stack}\n`;
}

function printed(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
