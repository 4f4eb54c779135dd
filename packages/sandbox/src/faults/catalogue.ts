import type { ServiceCode } from '../wire/codes.ts';
import { codes } from '../wire/codes.ts';

/**
 * When a fault strikes:
 * - `refuse`: the call gets an error and nothing is created
 * - `answer`: the task is created, but its create answer is spoilt
 * - `task`, `callback`, `file`: decided at the create, seen later
 */
export type FaultPhase = 'refuse' | 'answer' | 'task' | 'callback' | 'file';

const named = {
  html_502: { phase: 'refuse', text: 'an HTML 502 from a proxy, nothing created' },
  reset: { phase: 'refuse', text: 'the connection is cut, nothing created' },
  answer_lost: { phase: 'answer', text: 'task created, connection cut before the answer' },
  accepted_5002: { phase: 'answer', text: 'task created, answered 504 / 5002' },
  accepted_html_502: { phase: 'answer', text: 'task created, answered by an HTML 502' },
  slow_headers: { phase: 'answer', text: 'task created, answer held back (delay in ms, default 5000)' },
  moderation_failed: { phase: 'task', text: 'fails with "Failure to pass the risk control system" before processing' },
  failed_after_processing: { phase: 'task', text: 'fails at the end of processing' },
  stuck: { phase: 'task', text: 'stays in processing for ever and keeps its slot' },
  slow: { phase: 'task', text: 'takes ten times as long' },
  unknown_status: {
    phase: 'task',
    text: 'shows the status "suspended" while processing, takes twice as long, then ends normally',
  },
  callback_lost: { phase: 'callback', text: 'none of its callbacks is sent' },
  callback_doubled: { phase: 'callback', text: 'every callback is sent twice' },
  callback_reordered: { phase: 'callback', text: 'all callbacks come at the end, the final one first' },
  callback_forged: {
    phase: 'callback',
    text: 'an extra callback claims success with a foreign file and a wrong signature',
  },
  callback_early: { phase: 'callback', text: 'the final callback comes before the create is answered' },
  truncated_file: { phase: 'file', text: 'a download carries only the first 60 % of the file, and says so' },
  wrong_length: { phase: 'file', text: 'a download announces more bytes than it sends, then cuts' },
  expired_url: { phase: 'file', text: 'the file URL has expired: 403; the next query hands out a good one' },
  no_range: { phase: 'file', text: 'a download ignores Range' },
} as const satisfies Record<string, { phase: FaultPhase; text: string }>;

export type FaultName = keyof typeof named | `${ServiceCode}`;

/** A fault that will strike one call or task. */
export interface FaultHit {
  readonly name: FaultName;
  /** For `slow_headers`. */
  readonly delayMs?: number;
  /** For file faults: how many downloads it spoils; null: all. */
  readonly times: number | null;
}

interface CatalogueEntry {
  readonly name: FaultName;
  readonly phase: FaultPhase;
  readonly text: string;
}

/** Every fault with what it does: each service code, which refuses the call, and the named ones. */
export const faultCatalogue: ReadonlyMap<string, CatalogueEntry> = new Map<string, CatalogueEntry>([
  ...Object.entries(codes).map(([code, [httpStatus, message]]): [string, CatalogueEntry] => [
    code,
    { name: code as FaultName, phase: 'refuse', text: `${httpStatus} / ${code}: ${message}` }, // a key of `codes`
  ]),
  ...Object.entries(named).map(([name, fault]): [string, CatalogueEntry] => [
    name,
    { name: name as FaultName, ...fault }, // a key of `named`
  ]),
]);

/** @throws Error for a name that is not in the catalogue; they are checked where they come in */
export function phaseOf(name: FaultName): FaultPhase {
  const entry = faultCatalogue.get(name);
  if (!entry) throw new Error(`unknown fault ${name}`);
  return entry.phase;
}
