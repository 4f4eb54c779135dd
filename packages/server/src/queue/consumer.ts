import { asError } from '../kernel/errors.ts';
import type { ConsumeOptions, Consumer, Handler, HandlerResult, Message } from './queue.ts';

/** How an engine is told what became of a message that it leased to us. */
export interface LeaseEnds<Lease> {
  /** The message is handled; does nothing when the lease was lost meanwhile. */
  acknowledge(lease: Lease): Promise<void>;
  /** Not handled; it may be delivered again at once. */
  giveBack(lease: Lease): Promise<void>;
  /** Not handled, and to come again only after a while; without it the lease runs out by itself. */
  leave?(lease: Lease, signal: AbortSignal): Promise<void>;
}

/** What the loop needs of an engine that leases messages. */
export interface LeasedSource<Lease> extends LeaseEnds<Lease> {
  /** True: `fetch` itself waits for messages, so it is called whenever a handler is free. */
  readonly waits?: boolean;
  /** Takes up to `limit` messages; fewer means that no more are ready now. The signal ends a wait, which is no error. */
  fetch(limit: number, signal: AbortSignal): Promise<readonly { readonly message: Message; readonly lease: Lease }[]>;
  keepLeases(leases: readonly Lease[]): Promise<void>;
}

export interface ConsumerTiming {
  /** How long the loop rests when it was not woken. */
  readonly pollMs: number;
  readonly keepLeaseMs: number;
}

export interface ConsumerReporting {
  readonly onError: (error: Error, while_: string) => void;
}

/** How long an aborted handler may take to let go before its message is left to come again. */
const abortedMs = 2_000;

/** A consumer that someone must wake when messages arrive. */
export interface WakeableConsumer extends Consumer {
  wake(): void;
}

/** The messages that a consumer has in hand. */
export interface Hands<Lease> {
  count(): number;
  leases(): Lease[];
  /** Handles a message to its end. Never rejects. */
  take(message: Message, lease: Lease): Promise<void>;
  /** Waits for what is in hand, and for `more`, up to `graceMs`; then interrupts it and waits a little longer. */
  drain(graceMs: number, more?: Promise<void>): Promise<void>;
}

/** Handles messages, settles them, and tells the engine. How messages arrive and how leases are kept is the caller's. */
export function createHands<Lease>(
  ends: LeaseEnds<Lease>,
  handler: Handler,
  options: Pick<ConsumeOptions, 'settled'> & ConsumerReporting,
): Hands<Lease> {
  const inHand = new Map<Lease, { controller: AbortController; handled: Promise<void> }>();
  const attempt = (while_: string, action: () => Promise<void>): Promise<boolean> => attempted(options, while_, action);

  async function handle(message: Message, lease: Lease, signal: AbortSignal): Promise<void> {
    let outcome: HandlerResult | { result: 'crash'; error: Error };
    try {
      outcome = await handler(message, signal);
    } catch (error) {
      if (signal.aborted) {
        await attempt('giving a message back', () => ends.giveBack(lease));
        return;
      }
      outcome = { result: 'crash', error: asError(error) };
    }
    const settled = await attempt('settling a message', () => options.settled(message, outcome));
    if (settled) await attempt('acknowledging a message', () => ends.acknowledge(lease));
    // Without its outcome on record the message must come again, so it is left to its lease.
    else await attempt('leaving a message', async () => ends.leave?.(lease, signal));
  }

  async function drained(more: Promise<void> | undefined): Promise<void> {
    await more;
    await Promise.all([...inHand.values()].map(({ handled }) => handled));
  }

  return {
    count: () => inHand.size,
    leases: () => [...inHand.keys()],
    take(message, lease) {
      const controller = new AbortController();
      const handled = handle(message, lease, controller.signal).finally(() => inHand.delete(lease));
      inHand.set(lease, { controller, handled });
      return handled;
    },
    async drain(graceMs, more) {
      await within(drained(more), graceMs);
      for (const { controller } of inHand.values()) controller.abort();
      await within(drained(more), abortedMs);
    },
  };
}

/** Takes messages as handlers become free, keeps their leases while they are in hand, and drains on stop. */
export function createConsumer<Lease>(
  source: LeasedSource<Lease>,
  handler: Handler,
  options: ConsumeOptions & ConsumerTiming & ConsumerReporting,
): WakeableConsumer {
  const hands = createHands(source, handler, options);
  const fetching = new AbortController();
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

  async function take(limit: number): Promise<void> {
    moreMayWait = source.waits === true;
    const fetched = await source.fetch(limit, fetching.signal);
    if (fetched.length >= limit) moreMayWait = true;
    for (const { message, lease } of fetched) void hands.take(message, lease).then(() => rested?.());
  }

  async function loop(): Promise<void> {
    while (!stopping) {
      const free = options.concurrency - hands.count();
      if (!moreMayWait || free <= 0) await rest();
      else if (!(await attempted(options, 'fetching messages', () => take(free)))) await rest();
    }
  }

  const keepingLeases = setInterval(() => {
    if (hands.count() > 0) void attempted(options, 'keeping leases', () => source.keepLeases(hands.leases()));
  }, options.keepLeaseMs);
  const looping = loop();

  async function stopOnce(graceMs: number): Promise<void> {
    await hands.drain(graceMs, looping);
    clearInterval(keepingLeases);
  }

  return {
    wake,
    stop(graceMs) {
      stopping ??= Promise.resolve().then(() => stopOnce(graceMs));
      fetching.abort();
      rested?.();
      return stopping;
    },
  };
}

/** @returns false when the action failed, which was reported */
async function attempted(
  { onError }: ConsumerReporting,
  while_: string,
  action: () => Promise<void>,
): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    onError(asError(error), while_);
    return false;
  }
}

/** Resolves with the promise or after the time, whichever is first. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
