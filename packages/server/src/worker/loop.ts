import { pause } from '../kernel/clock.ts';
import { asError } from '../kernel/errors.ts';
import { backoffMs } from '../kernel/retry.ts';

/** A job that runs again and again: after the time that it asked for, or at once when it is woken. */
export interface Loop {
  wake(): void;
  /** Lets the run under way finish, then ends. */
  stop(): Promise<void>;
}

const errorBackoff = { baseMs: 250, capMs: 10_000 };

/**
 * @param run does one round and says in how many ms the next is due
 * @param onError told about the first failed round of an episode; each next one waits longer
 * @param onMended told when a round works again
 */
export function startLoop(
  run: (signal: AbortSignal) => Promise<number>,
  onError: (error: Error) => void,
  onMended: (failedRounds: number) => void = () => {},
): Loop {
  const stopping = new AbortController();
  let wake = new AbortController();
  let woken = false;
  async function go(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      woken = false;
      let waitMs: number;
      try {
        waitMs = await run(stopping.signal);
        if (failures > 0) onMended(failures);
        failures = 0;
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (failures === 0) onError(asError(error));
        waitMs = backoffMs(errorBackoff, failures++, Math.random());
      }
      if (woken) continue;
      await pause(waitMs, AbortSignal.any([stopping.signal, wake.signal]));
    }
  }
  const running = go();
  return {
    wake() {
      woken = true;
      wake.abort();
      wake = new AbortController();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
