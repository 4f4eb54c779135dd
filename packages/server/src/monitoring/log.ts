import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { describeError } from './describe-error.ts';
import { createPrettyStream } from './pretty-stream.ts';

/**
 * Structured log lines. Messages are constant text and everything variable is a field; `child({ videoId })` binds ids
 * to every line of a piece of work.
 */
export type Logger = PinoLogger;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** JSON lines for machines, or short lines for a person at a terminal. */
  readonly format: 'json' | 'pretty';
  /** Where lines go; standard output unless given. */
  readonly destination?: DestinationStream;
}

/**
 * Names of fields that never show a value, on the first two levels of a line. Known secrets are `Secret` objects, which
 * print redacted anyway; this is the net under what arrives from outside, such as headers and provider answers.
 */
const neverShown = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'jwt',
  'apiKey',
  'api_key',
  'accessKey',
  'secretKey',
  'sourceUrl',
  'source_url',
];

export function createLogger(options: LogOptions): Logger {
  const destination = options.destination ?? process.stdout;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error) => describeError(error), err: (error) => describeError(error) },
      redact: {
        paths: [
          ...neverShown,
          ...neverShown.map((name) => `*.${name}`),
          'req.headers.authorization',
          'req.headers.cookie',
        ],
        censor: '[redacted]',
      },
    },
    options.format === 'pretty' ? createPrettyStream(destination) : destination,
  );
}

/** Lines for a person where a person is looking, else JSON. */
export function defaultLogFormat(stream: { isTTY?: boolean }): LogOptions['format'] {
  return stream.isTTY ? 'pretty' : 'json';
}
