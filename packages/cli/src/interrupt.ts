import type { Io } from './io.ts';

/** The reason with which work stops after Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Runs work with a signal that the first Ctrl-C fires. */
export async function interruptible<Result>(
  io: Pick<Io, 'onInterrupt'>,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController();
  const forget = io.onInterrupt(() => {
    stop.abort(new Interrupted('stopped by Ctrl-C'));
  });
  try {
    return await work(stop.signal);
  } finally {
    forget();
  }
}
