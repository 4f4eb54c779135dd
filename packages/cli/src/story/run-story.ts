import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dailies, Video } from '@dailies/sdk';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { createPrinter, type Printer } from '../printer.ts';
import { table } from '../render/table.ts';
import { judge, percentile, refillGapsMs, utilisation, type Check, type Measured } from './measure.ts';
import type { StoryOptions } from './options.ts';
import { startPlatform, type StoryPlatform } from './platform.ts';
import { createSandboxView, type SandboxView } from './sandbox-view.ts';

/** More at once would measure this machine's connections, not the platform. */
const createsAtOnce = 32;
const lookEveryMs = 500;
const openStatuses = ['queued', 'submitting', 'generating', 'archiving'] as const;

export interface StoryRun {
  /** Starts what the load runs through, with its logs and data in `folder`. */
  readonly start: (options: StoryOptions, folder: string) => Promise<StoryPlatform>;
  /** What that is, in words. */
  readonly where: string;
}

/** Runs the load and prints what came of it. Logs and data are kept when something is not as it must be. */
export async function runStory(options: StoryOptions, io: Io, run: StoryRun = usualRun(options)): Promise<ExitCode> {
  const printer = createPrinter(io, options.json);
  const folder = await mkdtemp(join(tmpdir(), 'dailies-story-'));
  let good = false;
  try {
    printer.line(title(options, run.where));
    const platform = await run.start(options, folder);
    try {
      const measured = await measure(options, platform, printer);
      const checks = judge(measured, options.utilisation);
      good = checks.every((check) => check.ok);
      printer.json({ ...options, database: options.database === null ? null : 'postgres', ...measured, good });
      for (const line of checkLines(checks)) printer.line(line);
    } finally {
      await platform.stop();
    }
  } finally {
    if (good) await rm(folder, { recursive: true, force: true });
    else printer.error(`Logs and data are kept in ${folder}`);
  }
  printer.line(good ? 'All is as it must be.' : 'NOT as it must be.');
  return good ? exitCodes.ok : exitCodes.failed;
}

async function measure(options: StoryOptions, platform: StoryPlatform, printer: Printer): Promise<Measured> {
  const { dailies } = platform;
  const sandbox = createSandboxView(platform.sandboxUrl);
  if (options.callbacks === 'lost') await sandbox.loseAllCallbacks();
  const before = await dailies.budget.get();
  const startedMs = performance.now();
  const run = randomUUID();
  const [videos] = await Promise.all([
    createAll(dailies, options.videos, run).then(() => waitForAll(dailies, options, run, printer)),
    disturbMidway(options, platform, sandbox, printer),
  ]);
  const seconds = (performance.now() - startedMs) / 1000;
  const after = await dailies.budget.get();
  return {
    ...(await fromSandbox(sandbox, options)),
    videos: options.videos,
    slots: options.slots,
    completed: videos.filter((video) => video.status === 'completed').length,
    heldCredits: after.held_credits,
    chargedCredits: videos.reduce((sum, video) => sum + (video.charged_credits ?? 0), 0),
    capturedCredits: after.captured_credits - before.captured_credits,
    seconds,
  };
}

async function disturbMidway(
  options: StoryOptions,
  { disturb }: StoryPlatform,
  sandbox: SandboxView,
  printer: Printer,
): Promise<void> {
  if (!disturb) return;
  // Its own process-wide end is the story's: nothing waits for a middle that never comes.
  while ((await sandbox.stats()).creates_accepted < options.videos / 2) {
    await delay(lookEveryMs / 5, undefined, { ref: false });
  }
  printer.line(`In the middle: ${await disturb()}`);
}

async function createAll(dailies: Dailies, count: number, run: string): Promise<void> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1).values();
  const createSome = async (): Promise<void> => {
    for (const number of numbers) {
      await dailies.videos.create({ prompt: `story video ${String(number)}`, metadata: { story: run } });
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, createsAtOnce) }, createSome));
}

/**
 * Looks at one open video at a time: asking for all of them would make the server reckon their queue places, and so load
 * what is being measured.
 * @throws Error when not all are final in several times the time that they need
 */
async function waitForAll(dailies: Dailies, options: StoryOptions, run: string, printer: Printer): Promise<Video[]> {
  const { videos: count, slots, taskMs } = options;
  const startedMs = performance.now();
  const limitMs = 60_000 + 4 * taskMs * Math.ceil(count / slots);
  for (;;) {
    const [open] = (await dailies.videos.list({ status: openStatuses, metadata: { story: run }, limit: 1 }).page())
      .data;
    if (!open) break;
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    printer.live(`${String(seconds)} s; the last open video is ${open.status}`);
    if (seconds * 1000 > limitMs) {
      throw new Error(`the story does not end; after ${String(seconds)} s ${open.id} is still ${open.status}`);
    }
    await delay(lookEveryMs);
  }
  const all: Video[] = [];
  for await (const video of dailies.videos.list({ metadata: { story: run }, limit: 100 })) all.push(video);
  return all;
}

type Seen = Pick<
  Measured,
  | 'creates'
  | 'createsPerExternalId'
  | 'refused1303'
  | 'maxInFlight'
  | 'utilisation'
  | 'callsPerVideo'
  | 'refillMs'
  | 'deductedUnits'
>;

async function fromSandbox(sandbox: SandboxView, options: StoryOptions): Promise<Seen> {
  const [stats, tasks] = await Promise.all([sandbox.stats(), sandbox.tasks()]);
  const gaps = refillGapsMs(tasks, options.slots);
  const { create = 0, query = 0, list = 0 } = stats.calls;
  return {
    creates: stats.creates_accepted,
    createsPerExternalId: stats.max_creates_per_external_id,
    refused1303: stats.creates_refused['1303'] ?? 0,
    maxInFlight: Math.max(0, ...Object.values(stats.max_in_flight)),
    utilisation: utilisation(tasks, options.slots),
    refillMs: { p50: percentile(gaps, 0.5), p95: percentile(gaps, 0.95) },
    callsPerVideo: (create + query + list) / options.videos,
    deductedUnits: Number(stats.units_deducted),
  };
}

function usualRun({ database }: StoryOptions): StoryRun {
  const where = database === null ? 'one embedded process' : 'api, worker and callbacks on PostgreSQL';
  return { start: startPlatform, where };
}

function title(options: StoryOptions, where: string): string {
  const { videos, slots, tier, callbacks, generation, taskMs } = options;
  return (
    `${String(videos)} videos of ${String(taskMs)} ms on ${String(slots)} slots${tier === null ? '' : ` (${tier})`}, ` +
    `callbacks ${callbacks}, generation ${generation}, ${where}`
  );
}

function checkLines(checks: readonly Check[]): string[] {
  const rows = checks.map(({ name, value, wanted, ok }) => [
    name,
    value,
    wanted ?? '',
    wanted === null ? '' : ok ? 'ok' : 'WRONG',
  ]);
  return table(['WHAT', 'MEASURED', 'MUST BE', ''], rows, Infinity);
}
