import type { FaultName } from './catalogue.ts';

/** Which calls a rule looks at; everything that is named must fit. */
export interface FaultMatch {
  /** A model by any of its names. */
  readonly model?: string;
  /** Part of the prompt. */
  readonly prompt?: string;
  readonly external_id?: string;
}

/** A scripted fault as the admin API takes it. */
export interface FaultRule {
  readonly id: number;
  readonly fault: FaultName;
  /** At most this many times; null: no end. */
  readonly count: number | null;
  /** Share of matching calls that it strikes, 0 to 1. */
  readonly rate: number;
  /** `create` for every fault; error faults also work on reads. */
  readonly call: 'create' | 'query' | 'list' | 'costs' | 'file';
  readonly delay_ms?: number;
  /** File faults: downloads that are spoilt per task; null: all. */
  readonly times: number | null;
  readonly match: FaultMatch;
}

export interface ActiveRule {
  readonly rule: FaultRule;
  /** Strikes so far. */
  used: number;
  /** Matching calls so far; what the seeded rate is drawn from. */
  seen: number;
}
