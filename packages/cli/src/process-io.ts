import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { WriteStream } from 'node:tty';
import { exitCodes } from './exit-codes.ts';
import type { Io, Output } from './io.ts';

/** The real terminal, environment and signals. */
export function createProcessIo(): Io {
  return {
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    stdout: output(process.stdout),
    stderr: output(process.stderr),
    interactive: process.stdin.isTTY && process.stdout.isTTY,
    confirm: async (question) => {
      const reader = createInterface({ input: process.stdin, output: process.stdout });
      try {
        return /^(y(es)?)?$/i.test((await reader.question(`${question} [Y/n] `)).trim());
      } finally {
        reader.close();
      }
    },
    onInterrupt: (listener) => {
      let interrupted = false;
      const stop = (): void => {
        if (interrupted) process.exit(exitCodes.interrupted);
        interrupted = true;
        listener();
      };
      process.on('SIGINT', stop);
      process.on('SIGTERM', stop);
      return () => {
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      };
    },
  };
}

function output(stream: WriteStream): Output {
  // A reader that goes away (`dailies ls | head`) is no error of ours.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.isTTY ? stream.columns || 80 : Infinity; // a terminal may not know its width
    },
    write: (text) => void stream.write(text),
  };
}
