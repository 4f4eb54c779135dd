import type { FaultHit } from '../faults/catalogue.ts';
import type { FaultRule } from '../faults/rules.ts';
import type { TaskPlan } from './task.ts';

/** Calls as the inspection counts them. */
export type CallKind = 'create' | 'query' | 'list' | 'costs' | 'billing' | 'file' | 'unknown';

/** What became of one callback POST, or of one that was never sent. */
export type CallbackOutcome =
  | 'delivered'
  | 'rejected'
  | 'unreachable'
  | 'retried'
  | 'lost'
  | 'lost_while_down'
  | 'doubled'
  | 'reordered'
  | 'forged'
  | 'early';

/** One call of a client, after its answer. */
export interface CallRecord {
  readonly at: number;
  readonly kind: CallKind;
  readonly method: string;
  readonly path: string;
  /** 0: no answer was sent. */
  readonly http: number;
  readonly code?: number;
  readonly account?: string;
  readonly external_id?: string;
  readonly task_id?: string;
  /** Why a create made no task: a service code, or the name of a fault. */
  readonly refused?: string;
  readonly fault?: string;
}

/** Everything that changes the sandbox's state: one journal line each. Replaying them gives the same state. */
export type SandboxEvent =
  | { readonly t: 'open'; readonly at: number }
  | { readonly t: 'task'; readonly plan: TaskPlan }
  | { readonly t: 'move'; readonly id: string; readonly to: 'processing' | 'succeeded' | 'failed'; readonly at: number }
  | { readonly t: 'call'; readonly call: CallRecord }
  | { readonly t: 'callback'; readonly outcome: CallbackOutcome }
  | { readonly t: 'spoilt'; readonly id: string; readonly fault: FaultHit['name'] }
  | { readonly t: 'rule'; readonly rule: FaultRule }
  | { readonly t: 'rule_used'; readonly id: number; readonly used: number; readonly seen: number }
  | { readonly t: 'rules_cleared' }
  | { readonly t: 'word_used'; readonly word: string };
