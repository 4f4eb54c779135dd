/**
 * How many tasks at once one worker process carries: the story (npm run story) with one api, one worker and one callbacks process on
 * PostgreSQL, and ever more slots. Tasks of 10 s are the hardest that Kling could give; its usual ones take a minute and more.
 */
import { story } from './slots.ts';
import type { Bench, BenchOptions, Figure } from './report.ts';
import { withDatabase } from './surroundings.ts';

/** The share of the slots that has to be busy while work waits. */
const goodUtilisation = 0.95;
/** A round fills every slot once; the last one, in which nothing waits any more, is not judged. */
const rounds = 4;
/** Kling's tasks of one kind do not end together either; the sandbox's own times are spread by 15 %. */
const taskSpread = 0.15;
/** What the reference architecture reckons with. */
const reference = 3;

const sizes = {
  10_000: { usual: [3, 10, 50, 100], long: [150, 200, 300, 400] },
  60_000: { usual: [500], long: [750, 1_000] },
} as const;

/** Stops at the first size that is not carried. Three minutes for tasks of 10 s and five for those of 60 s, more with `long`. */
export const worker: Bench = async ({ database, long }: BenchOptions) => {
  if (database === null) return [];
  const figures: Figure[] = [];
  for (const taskMs of [10_000, 60_000] as const) {
    const { usual, long: more } = sizes[taskMs];
    let carried = 0;
    for (const slots of [...usual, ...(long ? more : [])]) {
      const videos = slots * rounds;
      const seen = await withDatabase(database, (url) =>
        story({ slots, videos, callbacks: 'on' }, url, { taskMs, taskSpread }),
      );
      const name = `${String(slots)} tasks of ${String(taskMs / 1000)} s`;
      figures.push({ what: `${name}: utilisation`, value: seen.utilisation, unit: '' });
      figures.push({ what: `${name}: end at Kling to next create, p95`, value: seen.refillMs.p95, unit: 'ms' });
      figures.push({ what: `${name}: calls per video`, value: seen.callsPerVideo, unit: '' });
      if (seen.utilisation < goodUtilisation) break;
      carried = slots;
    }
    figures.push({
      what: `tasks of ${String(taskMs / 1000)} s that one worker carries`,
      value: carried,
      unit: '',
      target: { atLeast: reference },
    });
  }
  return figures;
};
