import { pause } from './kernel/clock.ts';
import { asError } from './kernel/errors.ts';
import { backoffMs } from './kernel/retry.ts';

/** How long a start waits for its parts, and whom it tells. */
export interface StartPatience {
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly signal: AbortSignal;
  /** Receives lines for the person who started it. */
  readonly out: (line: string) => void;
}

export interface StartPart<Opened> {
  /** As the person who configures it knows it, such as `the database of DATABASE_URL (db:5432)`. */
  readonly name: string;
  open(): Promise<Opened>;
  /** Lets go of what was opened after nobody waited for it any more. */
  close(opened: Opened): Promise<void>;
  /** Whether trying again may help; what a part refuses is for a person to mend. */
  mayPass(error: Error): boolean;
}

/** A part that did not answer in time. */
export class PartUnreachableError extends Error {
  override readonly name = 'PartUnreachableError';
}

/** A part that answered no, such as to a wrong password. */
export class PartRefusedError extends Error {
  override readonly name = 'PartRefusedError';
}

const backoff = { baseMs: 250, capMs: 5_000 };

/**
 * Opens a part, with further tries while it cannot be reached.
 * @throws PartUnreachableError when the time is over, PartRefusedError when trying again cannot help, both naming the part; the reason of the
 * signal
 */
export async function openPart<Opened>(part: StartPart<Opened>, patience: StartPatience): Promise<Opened> {
  const { timeoutMs, signal, out } = patience;
  const begunMs = performance.now();
  for (let tries = 0; ; tries++) {
    signal.throwIfAborted();
    const leftMs = timeoutMs - (performance.now() - begunMs);
    // The first try gets its own time, even when nobody wants to wait for a second one.
    const error = await tryOnce(part, tries === 0 ? null : leftMs, signal);
    if ('opened' in error) {
      if (tries > 0) out(`${capitalised(part.name)} can be reached now.`);
      return error.opened;
    }
    signal.throwIfAborted();
    if (!part.mayPass(error.failed)) {
      throw new PartRefusedError(`${part.name} cannot be used: ${reasonOf(error.failed)}`, { cause: error.failed });
    }
    const waitMs = backoffMs(backoff, tries, Math.random());
    const waitedMs = performance.now() - begunMs;
    if (waitedMs + waitMs >= timeoutMs) {
      const tried = tries === 0 ? '' : ` (tried for ${Math.round(waitedMs / 1_000)} s)`;
      throw new PartUnreachableError(`${part.name} cannot be reached${tried}: ${reasonOf(error.failed)}`, {
        cause: error.failed,
      });
    }
    if (tries === 0) {
      out(`Waiting for ${part.name}, up to ${Math.round(timeoutMs / 1_000)} s: ${reasonOf(error.failed)}`);
    }
    await pause(waitMs, signal);
  }
}

type Try<Opened> = { readonly opened: Opened } | { readonly failed: Error };

/** A try that hangs does not outlast the patience; should it succeed after all, it is undone. */
async function tryOnce<Opened>(
  part: StartPart<Opened>,
  limitMs: number | null,
  signal: AbortSignal,
): Promise<Try<Opened>> {
  const limit =
    limitMs === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(limitMs)))]);
  let given = false;
  const opening = part.open().then(
    (opened): Try<Opened> => {
      if (given) void part.close(opened).catch(() => {});
      return { opened };
    },
    (error: unknown): Try<Opened> => ({ failed: asError(error) }),
  );
  const late = new Promise<Try<Opened>>((resolve) => {
    const give = (): void => {
      given = true;
      resolve({ failed: Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }) });
    };
    if (limit.aborted) give();
    else limit.addEventListener('abort', give, { once: true });
  });
  return Promise.race([opening, late]);
}

/** The text of an error; several addresses that failed alike make one without a text of its own. */
export function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return asError(error.errors[0]).message;
  return error.cause instanceof Error ? reasonOf(error.cause) : error.name;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
