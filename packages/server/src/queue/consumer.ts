import { asError } from '../kernel/errors.ts';
import type { ConsumeOptions, Consumer, Handler, HandlerResult, Message } from './queue.ts';

/** What the loop needs of an engine that leases messages. */
export interface LeasedSource<Lease> {
  /** Takes up to `limit` messages; fewer means that no more are ready now. */
  fetch(limit: number): Promise<readonly { readonly message: Message; readonly lease: Lease }[]>;
  /** The message is handled; does nothing when the lease was lost meanwhile. */
  acknowledge(lease: Lease): Promise<void>;
  /** Not handled; it may be delivered again at once. */
  giveBack(lease: Lease): Promise<void>;
  keepLeases(leases: readonly Lease[]): Promise<void>;
}

export interface ConsumerTiming {
  /** How long the loop rests when it was not woken. */
  readonly pollMs: number;
  readonly keepLeaseMs: number;
}

/** How long an aborted handler may take to let go before its message is left to come again. */
const abortedMs = 2_000;

/** A consumer that someone must wake when messages arrive. */
export interface WakeableConsumer extends Consumer {
  wake(): void;
}

/** Takes messages as handlers become free, keeps their leases while they are in hand, and drains on stop. */
export function createConsumer<Lease>(
  source: LeasedSource<Lease>,
  handler: Handler,
  options: ConsumeOptions & ConsumerTiming & { readonly onError: (error: Error, while_: string) => void },
): WakeableConsumer {
  const inHand = new Map<Lease, { controller: AbortController; handled: Promise<void> }>();
  let stopping: Promise<void> | undefined;
  let moreMayWait = true;
  let rested: (() => void) | undefined;

  function wake(): void {
    moreMayWait = true;
    rested?.();
  }

  async function rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    rested = resolve;
    const timer = setTimeout(wake, options.pollMs);
    await promise;
    clearTimeout(timer);
    rested = undefined;
  }

  async function attempt(while_: string, action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      options.onError(asError(error), while_);
      return false;
    }
  }

  async function take(limit: number): Promise<void> {
    moreMayWait = false;
    const fetched = await source.fetch(limit);
    if (fetched.length >= limit) moreMayWait = true;
    for (const { message, lease } of fetched) {
      const controller = new AbortController();
      const handled = handle(message, lease, controller.signal).finally(() => {
        inHand.delete(lease);
        rested?.();
      });
      inHand.set(lease, { controller, handled });
    }
  }

  async function handle(message: Message, lease: Lease, signal: AbortSignal): Promise<void> {
    let outcome: HandlerResult | { result: 'crash'; error: Error };
    try {
      outcome = await handler(message, signal);
    } catch (error) {
      if (signal.aborted) {
        await attempt('giving a message back', () => source.giveBack(lease));
        return;
      }
      outcome = { result: 'crash', error: asError(error) };
    }
    const settled = await attempt('settling a message', () => options.settled(message, outcome));
    // Without its outcome on record the message must come again, so it is left to its lease.
    if (settled) await attempt('acknowledging a message', () => source.acknowledge(lease));
  }

  async function loop(): Promise<void> {
    while (!stopping) {
      const free = options.concurrency - inHand.size;
      if (!moreMayWait || free <= 0) await rest();
      else if (!(await attempt('fetching messages', () => take(free)))) await rest();
    }
  }

  const keepingLeases = setInterval(() => {
    if (inHand.size > 0) void attempt('keeping leases', () => source.keepLeases([...inHand.keys()]));
  }, options.keepLeaseMs);
  const looping = loop();

  async function stopOnce(graceMs: number): Promise<void> {
    await within(drained(), graceMs);
    for (const { controller } of inHand.values()) controller.abort();
    await within(drained(), abortedMs);
    clearInterval(keepingLeases);
  }

  async function drained(): Promise<void> {
    await looping;
    await Promise.all([...inHand.values()].map(({ handled }) => handled));
  }

  return {
    wake,
    stop(graceMs) {
      stopping ??= Promise.resolve().then(() => stopOnce(graceMs));
      rested?.();
      return stopping;
    },
  };
}

/** Resolves with the promise or after the time, whichever is first. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
