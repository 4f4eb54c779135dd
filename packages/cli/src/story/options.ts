import { Command, InvalidArgumentError, Option } from 'commander';
import type { Io } from '../io.ts';

/** Tasks at once per model, by Kling's plans. */
export const tierSlots = { free: 1, standard: 3, pro: 5, enterprise: 10 } as const;

export interface StoryOptions {
  readonly videos: number;
  readonly slots: number;
  /** Makes the slots; null when they were given as a number. */
  readonly tier: keyof typeof tierSlots | null;
  readonly callbacks: 'on' | 'lost';
  readonly generation: 'auto' | 'legacy' | 'standard';
  /** PostgreSQL; null: one embedded process. */
  readonly database: string | null;
  /** Time of every task at the sandbox. */
  readonly taskMs: number;
  /** Share by which a task may take longer or shorter, from 0 to 1. */
  readonly taskSpread: number;
  readonly seed: number;
  /** Least share of the slot time that must be busy while work waits. */
  readonly utilisation: number;
  readonly json: boolean;
}

interface Flags {
  readonly videos: number;
  readonly slots?: number;
  readonly tier?: keyof typeof tierSlots;
  readonly callbacks: StoryOptions['callbacks'];
  readonly generation: StoryOptions['generation'];
  readonly database?: string;
  readonly taskMs: number;
  readonly taskSpread: number;
  readonly seed: number;
  readonly utilisation: number;
  readonly json?: boolean;
}

/** @throws CommanderError for a wrong command line, or after showing help */
export function parseStory(args: readonly string[], io: Pick<Io, 'stdout' | 'stderr'>): StoryOptions {
  const command = new Command('story')
    .description(
      'A load through real processes, judged by what the sandbox saw. Exit code 1 unless every promise holds.',
    )
    .option('--videos <number>', 'videos to make', toWhole, 60)
    .option('--slots <number>', 'tasks at once that the account allows; default 3', toWhole)
    .addOption(new Option('--tier <plan>', 'instead of --slots').choices(Object.keys(tierSlots)).conflicts('slots'))
    .addOption(new Option('--callbacks <mode>', 'lost: every callback is lost').choices(['on', 'lost']).default('on'))
    .addOption(
      new Option('--generation <api>', "which of Kling's APIs").choices(['auto', 'legacy', 'standard']).default('auto'),
    )
    .option('--database <url>', 'PostgreSQL (an empty database): api, worker and callbacks as separate processes')
    .option('--task-ms <ms>', 'time of every task', toWhole, 2000)
    .option('--task-spread <share>', 'share by which a task may take longer or shorter, 0 to 1', toShare, 0)
    .option('--seed <number>', "seed of the sandbox's random choices", toWhole, 1)
    .option('--utilisation <share>', 'least slot utilisation while work waits, 0 to 1', toShare, 0.95)
    .option('--json', 'the measurements as JSON')
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .exitOverride();
  const flags = command.parse(args, { from: 'user' }).opts<Flags>();
  const { tier = null, database = null, json = false } = flags;
  return { ...flags, tier, database, json, slots: tier === null ? (flags.slots ?? 3) : tierSlots[tier] };
}

function toWhole(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return number;
}

function toShare(text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share <= 1)) throw new InvalidArgumentError('It must be from 0 to 1.');
  return share;
}
