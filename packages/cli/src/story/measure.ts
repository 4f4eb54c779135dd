/** What the sandbox saw of one task. Times are Unix milliseconds. */
export interface SeenTask {
  readonly created_at: number;
  readonly updated_at: number;
  readonly status: string;
}

/**
 * Slot utilisation while work waits: the share of slot time that was busy between the first create and the last one.
 * After the last create nothing waits any more, so an idle slot is then no loss.
 * @returns from 0 to 1; 1 when no more than one round of slots was ever needed
 */
export function utilisation(tasks: readonly SeenTask[], slots: number): number {
  if (tasks.length <= slots) return 1;
  const from = Math.min(...tasks.map((task) => task.created_at));
  const until = Math.max(...tasks.map((task) => task.created_at));
  const busyMs = tasks.reduce((sum, task) => sum + Math.max(0, Math.min(task.updated_at, until) - task.created_at), 0);
  return until === from ? 1 : busyMs / (slots * (until - from));
}

/**
 * How long a freed slot waited for its next create, in milliseconds, shortest first. Slots are alike, so the n-th end is
 * matched with the n-th create after the first round.
 */
export function refillGapsMs(tasks: readonly SeenTask[], slots: number): number[] {
  const ends = tasks.map((task) => task.updated_at).toSorted((one, other) => one - other);
  const later = tasks
    .map((task) => task.created_at)
    .toSorted((one, other) => one - other)
    .slice(slots);
  return later.map((at, index) => at - (ends[index] ?? at)).toSorted((one, other) => one - other);
}

/** @param sorted ascending; empty gives 0 */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export interface Check {
  readonly name: string;
  readonly value: string;
  /** Null: shown, not judged. */
  readonly wanted: string | null;
  readonly ok: boolean;
}

export interface Measured {
  readonly videos: number;
  readonly slots: number;
  readonly completed: number;
  readonly creates: number;
  readonly createsPerExternalId: number;
  readonly refused1303: number;
  readonly maxInFlight: number;
  readonly utilisation: number;
  readonly refillMs: { readonly p50: number; readonly p95: number };
  readonly callsPerVideo: number;
  readonly heldCredits: number;
  /** Credits that this story's videos were charged, and by how much the budget's spent credits grew. */
  readonly chargedCredits: number;
  readonly capturedCredits: number;
  /** What the sandbox took from its pack. */
  readonly deductedUnits: number;
  readonly seconds: number;
}

/**
 * Every promise of the story with what was measured.
 * @param leastUtilisation of the slots while work waits, from 0 to 1
 */
export function judge(measured: Measured, leastUtilisation: number): Check[] {
  const { videos, slots } = measured;
  const inFlight = Math.min(videos, slots);
  return [
    exactly('completed', measured.completed, videos),
    exactly('creates', measured.creates, videos),
    exactly('creates per external id', measured.createsPerExternalId, 1),
    exactly('refused with 1303', measured.refused1303, 0),
    exactly('max in flight', measured.maxInFlight, inFlight),
    {
      name: 'slot utilisation',
      value: measured.utilisation.toFixed(3),
      wanted: `>= ${String(leastUtilisation)}`,
      ok: measured.utilisation >= leastUtilisation,
    },
    {
      name: 'freed slot to next create',
      value: `${String(measured.refillMs.p50)} ms, p95 ${String(measured.refillMs.p95)} ms`,
      wanted: null,
      ok: true,
    },
    { name: 'calls per video', value: measured.callsPerVideo.toFixed(2), wanted: null, ok: true },
    exactly('held credits', measured.heldCredits, 0),
    exactly('captured credits', measured.capturedCredits, measured.chargedCredits),
    exactly('deducted by Kling', measured.deductedUnits, measured.chargedCredits),
    { name: 'seconds', value: measured.seconds.toFixed(1), wanted: null, ok: true },
  ];
}

function exactly(name: string, value: number, wanted: number): Check {
  return { name, value: String(round(value)), wanted: String(round(wanted)), ok: round(value) === round(wanted) };
}

/** Credits have six decimals; sums of them as numbers carry noise beyond. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
