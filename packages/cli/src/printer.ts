import type { Io, Output } from './io.ts';
import { printable, printableJson } from './printable.ts';
import { cut } from './render/width.ts';

/** The only way to the terminal: nothing passes that the terminal would act on, except our own live line. */
export interface Printer {
  /** For people; silent with --json, so that standard output stays one JSON document. */
  line(text?: string): void;
  /** For machines; silent without --json. One line per value, except that a person at a terminal gets it indented. */
  json(value: unknown): void;
  /** On standard error. */
  error(text: string): void;
  /** On standard error, as JSON. */
  errorJson(value: unknown): void;
  /** Replaces the line that is rewritten in place; does nothing where there is no terminal. */
  live(text: string): void;
  /** Whether `live` shows anything. */
  readonly isLive: boolean;
  readonly columns: number;
}

export function createPrinter(io: Pick<Io, 'stdout' | 'stderr'>, asJson: boolean): Printer {
  const { stdout, stderr } = io;
  const isLive = stdout.isTTY && !asJson;
  let shown = false;

  function write(output: Output, text: string): void {
    if (shown) stdout.write('\r\u001b[K');
    shown = false;
    output.write(`${text}\n`);
  }

  return {
    isLive,
    columns: stdout.columns,
    line: (text = '') => {
      if (!asJson) write(stdout, printable(text));
    },
    json: (value) => {
      if (asJson) write(stdout, printableJson(value, stdout.isTTY ? 2 : undefined));
    },
    error: (text) => {
      write(stderr, text.split('\n').map(printable).join('\n'));
    },
    errorJson: (value) => {
      write(stderr, printableJson(value));
    },
    live: (text) => {
      if (!isLive) return;
      // The last column stays free: a full line would wrap, and the next rewrite would leave a copy behind.
      stdout.write(`\r\u001b[K${cut(printable(text), stdout.columns - 1)}`);
      shown = true;
    },
  };
}
