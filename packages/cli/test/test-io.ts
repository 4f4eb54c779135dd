import type { Io } from '../src/io.ts';

export interface TestIo extends Io {
  readonly printed: { out: string; err: string };
  /** What Ctrl-C does. */
  interrupt(): void;
}

/** A terminal (or, by default, a pipe) that remembers what was written. */
export function createTestIo(
  options: {
    readonly env?: Io['env'];
    readonly cwd?: string;
    readonly home?: string;
    readonly isTTY?: boolean;
    readonly answer?: boolean;
  } = {},
): TestIo {
  const printed = { out: '', err: '' };
  const listeners = new Set<() => void>();
  const isTTY = options.isTTY ?? false;
  const columns = isTTY ? 80 : Infinity;
  return {
    env: options.env ?? {},
    cwd: options.cwd ?? '/nowhere',
    home: options.home ?? '/nowhere',
    stdout: { isTTY, columns, write: (text) => void (printed.out += text) },
    stderr: { isTTY, columns, write: (text) => void (printed.err += text) },
    interactive: isTTY,
    confirm: (question) => {
      printed.out += question;
      return Promise.resolve(options.answer ?? true);
    },
    onInterrupt: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    printed,
    interrupt: () => {
      for (const listener of listeners) listener();
    },
  };
}
