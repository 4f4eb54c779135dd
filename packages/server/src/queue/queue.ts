/**
 * The port to the queue engine. It carries work that can start now, as `{kind, id}`; the database holds the truth and
 * can refill it at any time, so an engine may lose everything, deliver twice or out of order (docs/guarantees.md). Called by
 * videos/ (publish) and worker/ (consume). It never delays, never deduplicates, and never decides anything.
 */
import type { Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';

/** One engine queue per kind, so that slow archives cannot hold up a submit. */
export const messageKinds = ['submit', 'look', 'archive', 'notify'] as const;
export type MessageKind = (typeof messageKinds)[number];

export interface Message {
  readonly kind: MessageKind;
  /** Row id the kind's handler claims: an attempt (submit, look), a file (archive) or a delivery (notify). */
  readonly id: string;
  /**
   * Whose work it is, for engines that share themselves fairly between tenants (fair queues of SQS). A hint for `publish` alone:
   * handlers never see it.
   */
  readonly workspaceId?: string;
}

/**
 * What a handler made of a message. All three acknowledge it: waiting, crash counts and dead letters are database rows.
 * - `retry`: the handler's row is due again after `afterMs`
 * - `fail`: it will never work; the row becomes a dead letter
 */
export type HandlerResult =
  | { readonly result: 'done' }
  | { readonly result: 'retry'; readonly afterMs: number; readonly reason: string }
  | { readonly result: 'fail'; readonly reason: string };

export type Handler = (message: Message, signal: AbortSignal) => Promise<HandlerResult>;

export interface ConsumeOptions {
  /** Messages handled at once by this consumer. */
  readonly concurrency: number;
  /**
   * Called once per delivery with what the handler returned or threw, before the message is acknowledged; when this
   * throws, the message comes again. A handler that throws after its signal fired was interrupted by `stop`: its
   * message is given back without this call.
   */
  readonly settled: (
    message: Message,
    outcome: HandlerResult | { readonly result: 'crash'; readonly error: Error },
  ) => Promise<void>;
}

export interface Consumer {
  /** Takes no new message; resolves when those in hand are finished, or aborts them after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface Queue {
  /**
   * Publishes messages. Where the engine is our own database and `transaction` is given, they become visible with its
   * commit; elsewhere they are sent at once and a message for a rolled-back row finds nothing to claim. At least once.
   */
  publish(messages: readonly Message[], transaction?: Transaction<Tables>): Promise<void>;
  /** Starts handling one kind. A message whose process died is delivered again within `limits.redeliveryMs`. */
  consume(kind: MessageKind, handler: Handler, options: ConsumeOptions): Promise<Consumer>;
  /**
   * Messages published and not yet acknowledged, per kind; approximate on engines that only approximate. Pub/Sub tells nobody: there it
   * is what this process has in hand, so whoever wants to know how much work waits counts rows that are due.
   */
  depth(): Promise<Readonly<Record<MessageKind, number>>>;
  close(): Promise<void>;
  readonly limits: {
    /** True when `publish` takes part in the caller's transaction. */
    readonly transactional: boolean;
    /** Upper bound between the death of a consumer and the second delivery. */
    readonly redeliveryMs: number;
  };
}
