/** Observed times on the slot per model x mode x duration: they give ETA and queue position, and tell the poller when to look. */
import { sql, type Kysely } from 'kysely';
import type { VideoRequest } from '../catalog/request.ts';
import type { Tables } from '../db/tables.ts';

const samplesKept = 100;
/** Below this many samples the prior is better than the observation. */
const samplesNeeded = 3;

export interface ExpectedDuration {
  /** Middle, for fairness and ETA. */
  readonly p50Ms: number;
  /** From here on a look is worth its call. */
  readonly p10Ms: number;
  readonly p99Ms: number;
  readonly observed: boolean;
}

export interface Durations {
  /** @param priorMs what to assume while nothing was observed */
  expect(request: VideoRequest, provider: string, priorMs: number): Promise<ExpectedDuration>;
  observe(request: VideoRequest, provider: string, ms: number): Promise<void>;
}

/** Answers are at most `freshMs` old, so that a create does not read them each time. */
export function createDurations(kysely: Kysely<Tables>, monotonicMs: () => number, freshMs = 1_000): Durations {
  const cache = new Map<string, { readonly at: number; readonly value: readonly number[] }>();
  async function samplesOf(key: string): Promise<readonly number[]> {
    const hit = cache.get(key);
    if (hit && monotonicMs() - hit.at < freshMs) return hit.value;
    const row = await kysely
      .selectFrom('observed_durations')
      .select('samples_ms')
      .where('key', '=', key)
      .executeTakeFirst();
    const value = (row?.samples_ms ?? []).toSorted((left, right) => left - right);
    cache.set(key, { at: monotonicMs(), value });
    return value;
  }
  return {
    async expect(request, provider, priorMs) {
      const samples = await samplesOf(keyOf(request, provider));
      if (samples.length < samplesNeeded) {
        return { p50Ms: priorMs, p10Ms: Math.round(priorMs / 10), p99Ms: priorMs * 3, observed: false };
      }
      const at = (share: number) =>
        samples[Math.min(samples.length - 1, Math.floor(share * samples.length))] ?? priorMs;
      return { p50Ms: at(0.5), p10Ms: at(0.1), p99Ms: at(0.99), observed: true };
    },
    async observe(request, provider, ms) {
      const sample = Math.max(1, Math.round(ms));
      await kysely
        .insertInto('observed_durations')
        .values({ key: keyOf(request, provider), samples_ms: [sample] })
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet({
            samples_ms: sql`(array_prepend(${sample}::int, observed_durations.samples_ms))[1:${sql.lit(samplesKept)}]`,
          }),
        )
        .execute();
    },
  };
}

function keyOf(request: VideoRequest, provider: string): string {
  const mode = request.mode ?? 'single';
  return `${provider}/${request.product}/${request.model}/${mode}/${request.duration}/${request.sound ? 'sound' : 'silent'}`;
}
