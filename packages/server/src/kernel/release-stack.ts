import { asError } from './errors.ts';

/**
 * Closers in the order in which their resources were opened, released in reverse. A closer that fails does not stop
 * the others; the first failure is thrown at the end. Releasing twice is the same release.
 */
export interface ReleaseStack {
  push(name: string, close: () => Promise<void> | void): void;
  release(): Promise<void>;
}

export function createReleaseStack(): ReleaseStack {
  const closers: { name: string; close: () => Promise<void> | void }[] = [];
  let releasing: Promise<void> | undefined;
  async function unwind(): Promise<void> {
    let first: Error | undefined;
    for (let next = closers.pop(); next; next = closers.pop()) {
      try {
        await next.close();
      } catch (error) {
        first ??= new Error(`closing ${next.name} failed: ${asError(error).message}`, { cause: error });
      }
    }
    if (first) throw first;
  }
  return {
    push: (name, close) => void closers.push({ name, close }),
    release: () => (releasing ??= unwind()),
  };
}
