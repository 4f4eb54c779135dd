/**
 * The story (npm run story) as a benchmark: how busy the slots are while work waits, how long a freed slot waits for its next create,
 * and how many calls a video costs, with callbacks and with all of them lost.
 */
import pg from 'pg';
import { refillGapsMs, type Measured, type SeenTask } from '../packages/cli/src/story/measure.ts';
import type { StoryOptions } from '../packages/cli/src/story/options.ts';
import { runStory } from '../packages/cli/src/story/run-story.ts';
import { quantile, type Bench, type BenchOptions, type Figure } from './report.ts';
import { withDatabase } from './surroundings.ts';

const taskMs = 2_000;

/** Rounds of every slot; a round takes two seconds. */
export const slots: Bench = async ({ database, long }: BenchOptions) => {
  const figures: Figure[] = [];
  for (const [count, rounds] of [
    [3, long ? 166 : 12],
    [20, long ? 25 : 10],
  ] as const) {
    for (const callbacks of ['on', 'lost'] as const) {
      const story = { slots: count, videos: count * rounds, callbacks };
      figures.push(...(await measured(story, null)));
      if (database !== null) figures.push(...(await withDatabase(database, (url) => measured(story, url))));
    }
  }
  return figures;
};

type Size = Pick<StoryOptions, 'slots' | 'videos' | 'callbacks'>;

async function measured(size: Size, database: string | null): Promise<Figure[]> {
  const { slots: count, callbacks } = size;
  const seen = await story(size, database);
  const name = `${count} slots, callbacks ${callbacks}, ${database === null ? 'embedded' : 'PostgreSQL'}`;
  const target = (value: number) => ({ target: { atMost: value } });
  return [
    {
      what: `${name}: utilisation`,
      value: seen.utilisation,
      unit: '',
      target: { atLeast: callbacks === 'on' ? 0.98 : 0.9 },
    },
    {
      what: `${name}: calls per video`,
      value: seen.callsPerVideo,
      unit: '',
      ...(count >= 20 ? target(callbacks === 'on' ? 2.2 : 2.5) : {}),
    },
    { what: `${name}: end at Kling to next create, p95`, value: seen.refillMs.p95, unit: 'ms' },
    ...(database === null
      ? []
      : [
          {
            what: `${name}: freed to sent, p95`,
            value: await freedToSentMs(database, count),
            unit: 'ms',
            ...target(25),
          },
        ]),
  ];
}

/** @throws Error when a promise of the story is broken */
export async function story(size: Size, database: string | null, tasks = { taskMs, taskSpread: 0 }): Promise<Measured> {
  const options = {
    ...size,
    tier: null,
    generation: 'auto',
    database,
    ...tasks,
    seed: 1,
    utilisation: 0,
    json: true,
  } as const;
  const said: string[] = [];
  const output = { isTTY: false, columns: Infinity };
  const io = {
    env: {},
    cwd: process.cwd(),
    home: '/',
    interactive: false,
    stdout: { ...output, write: (text: string) => void said.push(text) },
    stderr: { ...output, write: (text: string) => void process.stderr.write(text) },
    confirm: async () => false,
    onInterrupt: () => () => {},
  };
  if ((await runStory(options, io)) !== 0) throw new Error(`a promise of the story was broken: ${said.join('')}`);
  return JSON.parse(said.join('')) as Measured; // what --json prints
}

/** From the end of an attempt to the next send, as the server's own rows say. */
async function freedToSentMs(database: string, slotCount: number): Promise<number> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    const { rows } = await client.query<SeenTask>(
      `select extract(epoch from sent_at)::float8 * 1000 as created_at, extract(epoch from ended_at)::float8 * 1000 as updated_at,
         state as status from attempts where sent_at is not null and ended_at is not null`,
    );
    return quantile(refillGapsMs(rows, slotCount), 0.95);
  } finally {
    await client.end();
  }
}
