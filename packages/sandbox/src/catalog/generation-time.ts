import { seeded } from '../random.ts';
import type { Level, Model } from './models.ts';

const levelFactor = { std: 1, pro: 1.4, '4k': 2.5 } as const satisfies Record<Level, number>;

/** When a task will start and end, in generation milliseconds after its create. */
export interface GenerationTime {
  readonly submittedMs: number;
  readonly totalMs: number;
}

/**
 * A plausible time for this clip: the model's observed time, longer for more seconds, pixels and sound, with a spread of
 * 15 % either way that depends only on seed and key.
 */
export function generationTime(
  order: { readonly model: Model; readonly level: Level; readonly durationSeconds: number; readonly sound: boolean },
  seed: number,
  key: string | number,
): GenerationTime {
  const seconds =
    order.model.generationSeconds *
    levelFactor[order.level] *
    (0.5 + order.durationSeconds / 10) *
    (order.sound ? 1.3 : 1) *
    (0.85 + 0.3 * seeded(seed, 'generation', key));
  const submittedSeconds = 1 + 9 * seeded(seed, 'submitted', key);
  return {
    submittedMs: Math.round(1000 * Math.min(submittedSeconds, seconds / 2)),
    totalMs: Math.round(1000 * seconds),
  };
}
