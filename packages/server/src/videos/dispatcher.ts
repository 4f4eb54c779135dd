import { asError } from '../kernel/errors.ts';

/** Runs dispatches one at a time per family and process; requests that come meanwhile become one more run. */
export interface Dispatcher {
  request(familyIds: readonly string[]): void;
  /** Resolves when nothing runs and nothing was asked for since. */
  idle(): Promise<void>;
}

/** @param dispatch starts what can start; a failure is reported, and the timer asks again */
export function createDispatcher(
  dispatch: (familyId: string) => Promise<unknown>,
  onError: (error: Error, familyId: string) => void,
): Dispatcher {
  const wanted = new Set<string>();
  const running = new Map<string, Promise<void>>();
  async function run(familyId: string): Promise<void> {
    while (wanted.delete(familyId)) {
      try {
        await dispatch(familyId);
      } catch (error) {
        onError(asError(error), familyId);
      }
    }
    running.delete(familyId);
  }
  return {
    request(familyIds) {
      for (const familyId of familyIds) {
        wanted.add(familyId);
        if (!running.has(familyId)) running.set(familyId, run(familyId));
      }
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}
