/** The load of `npm run story` through the reference deployment: node --conditions=source test/deployment/main.ts --help */
import { Command, Option } from 'commander';
import { createProcessIo } from '../../packages/cli/src/process-io.ts';
import { runStory } from '../../packages/cli/src/story/run-story.ts';
import { engineNames, type EngineName } from './engines.ts';
import { startDeployment } from './platform.ts';

interface Flags {
  readonly engine: EngineName;
  readonly switchTo?: EngineName;
  readonly undisturbed?: boolean;
  readonly videos: string;
  readonly slots: string;
  readonly taskMs: string;
  readonly postgres: string;
}

const command = new Command('deployment')
  .description('2 api, 3 worker and 1 callbacks process on PostgreSQL, S3 and one engine, behind nginx, under load.')
  .addOption(new Option('--engine <name>', 'what carries the messages').choices(engineNames).default('redis'))
  .addOption(new Option('--switch-to <name>', 'exchange the engine midway instead of emptying it').choices(engineNames))
  .option('--undisturbed', 'leave the engine alone, to see the times of a usual day')
  .option('--videos <number>', 'videos to make', '60')
  .option('--slots <number>', 'tasks at once that the account allows', '10')
  .option('--task-ms <ms>', 'time of every task', '2000')
  .option('--postgres <url>', 'server on which a database can be made', 'postgres://postgres@127.0.0.1:5432/postgres');
const { engine, switchTo = null, undisturbed = false, videos, slots, taskMs, postgres } = command.parse().opts<Flags>();

const io = createProcessIo();
// Leaving by `exit` takes the child processes along.
io.onInterrupt(() => process.exit(130));
const options = {
  videos: Number(videos),
  slots: Number(slots),
  tier: null,
  callbacks: 'on',
  generation: 'auto',
  database: postgres,
  taskMs: Number(taskMs),
  taskSpread: 0,
  seed: 1,
  // What the engine lost waits for its next publish, so only counts and money are judged here.
  utilisation: 0,
  json: false,
} as const;
process.exitCode = await runStory(options, io, {
  where: `2 api, 3 worker, 1 callbacks on PostgreSQL, S3 and ${engine}${switchTo === null ? '' : `, then ${switchTo}`}, behind nginx`,
  start: (story, folder) => startDeployment(story, folder, { engine, switchTo, undisturbed, postgresUrl: postgres }),
});
