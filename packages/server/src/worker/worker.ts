/** The worker role: handlers for every kind of message, the poller, and the timers that keep everything moving. */
import { sql } from 'kysely';
import { isConnectionFailure } from '../db/connection-failure.ts';
import type { KlingApi } from '../kling/kling-api.ts';
import type { Consumer, Handler, HandlerResult, Message, MessageKind, Queue } from '../queue/queue.ts';
import { growPools } from '../scheduling/limits.ts';
import { listWaitingFamilies, reconcileSlots } from '../scheduling/slots.ts';
import { archive, type ArchiveDeps } from '../videos/archive.ts';
import { auditAccount } from '../videos/audit.ts';
import type { VideosContext } from '../videos/context.ts';
import { recordCrash, recordDeadLetter } from '../videos/dead-letters.ts';
import { expireQueued } from '../videos/end-video.ts';
import { listDueAccounts, lookAtAccount, nextLookInMs } from '../videos/look.ts';
import { submit } from '../videos/submit.ts';
import { startLoop, type Loop } from './loop.ts';
import { nextDueInMs, publishNewDeliveries, republishDue } from './sweep.ts';

export interface WorkerOptions {
  /** Messages of each kind that this process handles at once. */
  readonly concurrency: Readonly<Record<MessageKind, number>>;
  readonly sweepIntervalMs: number;
  readonly dispatchIntervalMs: number;
  readonly republishAfterMs: number;
  /** Longest sleep of the poller; other processes cannot wake it. */
  readonly pollIntervalMs: number;
}

export interface WorkerDeps extends Omit<ArchiveDeps, 'kling'> {
  readonly kling: KlingApi;
  readonly queue: Queue;
  /** Accounts that this process holds the credentials of. */
  readonly accountIds: readonly string[];
  readonly monotonicMs: () => number;
  readonly notify: Handler;
}

export interface Worker {
  wakePoller(): void;
  /** Stops taking work, gives work in hand `graceMs` to finish, then aborts it. */
  stop(graceMs: number): Promise<void>;
}

const idempotencyKeptMs = 24 * 60 * 60_000;
const housekeepingMs = 60_000;
const auditIntervalMs = 60 * 60_000;
/** Half of what may pass between a final state and its webhook, for what another process ended. */
const deliveryIntervalMs = 500;
/** And what this process ended waits so long at most, however much happens. */
const deliveryBreathMs = 100;

export async function startWorker(context: VideosContext, deps: WorkerDeps, options: WorkerOptions): Promise<Worker> {
  const { kysely } = context.database;
  const loop = (what: string, round: (signal: AbortSignal) => Promise<number>): Loop =>
    startLoop(
      round,
      (error) => context.log('error', `${what} failed`, { error }),
      (rounds) => context.log('info', `${what} works again`, { failedRounds: rounds }),
    );
  const poller = loop('Polling', async (signal) => {
    const accounts = await listDueAccounts(context);
    await Promise.all(accounts.map((accountId) => lookAtAccount(context, deps.kling, accountId, signal)));
    return clamp(await nextLookInMs(context), options.pollIntervalMs);
  });
  const sweeper = loop('Sweeping', async () => {
    await republishDue(kysely, deps.queue, options.republishAfterMs);
    await expireQueued(context);
    return clamp(await nextDueInMs(kysely), options.sweepIntervalMs);
  });
  let event = Promise.resolve();
  const deliveryTimer = loop('Publishing deliveries', async (signal) => {
    await event;
    event = context.events.wait(deliveryIntervalMs, signal); // from now on: what happens while this round reads counts too
    await publishNewDeliveries(kysely, deps.queue);
    return deliveryBreathMs;
  });
  const dispatchTimer = loop('The dispatch timer', async () => {
    context.requestDispatch(await listWaitingFamilies(kysely));
    return options.dispatchIntervalMs;
  });
  const housekeeper = loop('Housekeeping', async () => {
    await keepHouse(context);
    return housekeepingMs;
  });
  const auditor = loop('The audit', async (signal) => {
    for (const accountId of deps.accountIds) await auditAccount(context, deps.kling, accountId, signal);
    return auditIntervalMs;
  });
  const loops: Loop[] = [auditor, poller, sweeper, deliveryTimer, dispatchTimer, housekeeper];
  const consumers = await consumeAll(context, deps, options, poller);
  return {
    wakePoller: () => poller.wake(),
    async stop(graceMs) {
      await Promise.all([...consumers.map((consumer) => consumer.stop(graceMs)), ...loops.map((loop) => loop.stop())]);
    },
  };
}

async function consumeAll(
  context: VideosContext,
  deps: WorkerDeps,
  options: WorkerOptions,
  poller: Loop,
): Promise<Consumer[]> {
  const handlers: Record<MessageKind, Handler> = {
    submit: (message, signal) => submit(context, deps, message.id, signal),
    archive: (message, signal) => archive(context, deps, message.id, signal),
    notify: deps.notify,
    async look() {
      poller.wake();
      return { result: 'done' };
    },
  };
  const settled = async (
    message: Message,
    outcome: HandlerResult | { readonly result: 'crash'; readonly error: Error },
  ): Promise<void> => {
    const fields = { kind: message.kind, id: message.id };
    // Nobody's fault but the connection's: the message comes again, and no crash is counted against it.
    if (outcome.result === 'crash' && isConnectionFailure(outcome.error)) throw outcome.error;
    if (outcome.result === 'crash') {
      context.log('error', 'A handler crashed', { ...fields, error: outcome.error });
      await recordCrash(context, message, outcome.error);
    } else if (outcome.result === 'fail') {
      context.log('warn', 'A message was given up', { ...fields, reason: outcome.reason });
      await recordDeadLetter(context, message, outcome.reason);
    } else if (outcome.result === 'retry') {
      context.log('info', 'A message will come again', { ...fields, reason: outcome.reason, afterMs: outcome.afterMs });
    }
  };
  const kinds = Object.keys(handlers) as MessageKind[]; // the keys of a closed record
  return Promise.all(
    kinds.map((kind) => deps.queue.consume(kind, handlers[kind], { concurrency: options.concurrency[kind], settled })),
  );
}

async function keepHouse(context: VideosContext): Promise<void> {
  const { kysely } = context.database;
  const grown = await growPools(kysely);
  if (grown.length > 0) context.requestDispatch(await listWaitingFamilies(kysely));
  const mended = await reconcileSlots(context.database);
  if (mended.length > 0) context.log('warn', 'Slot counts were wrong and were set right', { pools: mended });
  await kysely
    .deleteFrom('idempotency_keys')
    .where(sql<boolean>`created_at < dailies_now() - ${idempotencyKeptMs} * interval '1 millisecond'`)
    .execute();
}

/** At least a breath, at most `maxMs`. */
function clamp(waitMs: number | null, maxMs: number): number {
  return Math.max(5, Math.min(waitMs ?? maxMs, maxMs));
}
