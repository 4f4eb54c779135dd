/** The reference deployment on this machine: every box of the picture as the process or server that it is in production. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createDailies } from '@dailies/sdk';
import { serverReady, startChild, type Child } from '../../packages/cli/src/child-process.ts';
import type { StoryOptions } from '../../packages/cli/src/story/options.ts';
import { pollingFor, sandboxArgs, type StoryPlatform } from '../../packages/cli/src/story/platform.ts';
import { startNginx } from '../servers/nginx.ts';
import { createPostgresDatabase } from '../servers/postgres.ts';
import { startS3 } from '../servers/s3.ts';
import { freePorts } from '../servers/spawn.ts';
import { startEngine, type Engine, type EngineName } from './engines.ts';

export interface DeploymentOptions {
  readonly engine: EngineName;
  /** Instead of being emptied, the engine is exchanged for this one midway; null empties it. */
  readonly switchTo: EngineName | null;
  /** Nothing is done to the engine. */
  readonly undisturbed: boolean;
  /** A PostgreSQL server on which databases can be created. */
  readonly postgresUrl: string;
}

const startLimitMs = 120_000;
const emptyTimes = 40;
const emptyEveryMs = 50;
const counts = { callbacks: 1, worker: 3, api: 2 } as const;
type Role = keyof typeof counts;

/** Two api, three workers and the receiver of callbacks on PostgreSQL, S3 and one engine, behind nginx. */
export async function startDeployment(
  options: StoryOptions,
  folder: string,
  deployment: DeploymentOptions,
): Promise<StoryPlatform> {
  const release: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of release.splice(0).toReversed()) await end();
  };
  try {
    return { ...(await start(options, folder, deployment, release)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: StoryOptions,
  folder: string,
  deployment: DeploymentOptions,
  release: (() => Promise<void>)[],
): Promise<Omit<StoryPlatform, 'stop'>> {
  const database = await createPostgresDatabase(deployment.postgresUrl);
  release.push(database.drop);
  const s3 = await startS3();
  release.push(s3.stop);
  const engine = await startEngine(deployment.engine, database.url);
  release.push(engine.stop);
  const sandbox = await startChild({
    args: sandboxArgs(options),
    env: {},
    logFile: join(folder, 'sandbox.log'),
    ready: /"url":"(http:[^"]+)"/,
    timeoutMs: startLimitMs,
  });
  release.push(sandbox.stop);
  const sandboxUrl = sandbox.match[1] ?? '';

  const [callbacksPort = 0, ...apiPorts] = await freePorts(3);
  const gateway = await startNginx({ apiPorts, callbacksPort });
  release.push(gateway.stop);
  const env = {
    // What does not support ranges is spooled there on its way.
    DATA_DIR: join(folder, 'data'),
    DATABASE_URL: database.url,
    S3_BUCKET: await s3.makeBucket(),
    S3_ENDPOINT: s3.endpoint,
    S3_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    S3_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    KLING_PROVIDER: 'sandbox',
    SANDBOX_URL: sandboxUrl,
    // As Kling would: through the gateway.
    KLING_CALLBACK_URL: gateway.url,
    KLING_CONCURRENCY: String(options.slots),
    KLING_GENERATION: options.generation,
    PUBLIC_URL: gateway.url,
    METRICS_PORT: '0',
    LOG_LEVEL: 'info',
    // What is lost with the engine comes again after this; half a minute by default.
    REPUBLISH_AFTER: '1000',
    SWEEP_INTERVAL: '500',
    ...(options.callbacks === 'lost' ? pollingFor(options.taskMs) : {}),
  };
  const apiKey = await prepare({ ...env, ...engine.env });
  const fleet = createFleet(folder, callbacksPort, apiPorts);
  release.push(fleet.stop);
  await fleet.start({ ...env, ...engine.env });
  const platform = { dailies: createDailies({ url: gateway.url, apiKey }), sandboxUrl };
  if (deployment.undisturbed) return platform;
  return {
    ...platform,
    disturb: async () => {
      if (deployment.switchTo === null) return emptyAgainAndAgain(engine);
      const next = await startEngine(deployment.switchTo, database.url);
      release.unshift(next.stop);
      await fleet.exchange({ ...env, ...next.env });
      return `${engine.name} exchanged for ${next.name}, process by process`;
    },
  };
}

/** Once would often find nothing: messages are in the engine for milliseconds. */
async function emptyAgainAndAgain(engine: Engine): Promise<string> {
  let what = '';
  for (let times = 0; times < emptyTimes; times++) {
    what = await engine.empty();
    await delay(emptyEveryMs);
  }
  return `${engine.name}: ${what}, ${String(emptyTimes)} times in ${String((emptyTimes * emptyEveryMs) / 1_000)} s`;
}

/** Brings the schema up to date, with a first key. @returns the key */
async function prepare(env: Readonly<Record<string, string>>): Promise<string> {
  const apiKey = `dls_${randomBytes(32).toString('base64url')}`;
  const program = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [...process.execArgv, program, 'migrate'], {
    env: { PATH: process.env['PATH'], ...env, DAILIES_API_KEY: apiKey },
  });
  return apiKey;
}

interface Fleet {
  start(env: Readonly<Record<string, string>>): Promise<void>;
  /** One process after the other ends and begins anew with another environment, as a rolling update does it. */
  exchange(env: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

interface Member {
  start(env: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

/** The processes of Dailies itself, each with a log of its own. */
function createFleet(folder: string, callbacksPort: number, apiPorts: readonly number[]): Fleet {
  const member = (role: Role, number: number): Member => {
    const own: Record<string, string> = {
      callbacks: { CALLBACKS_PORT: String(callbacksPort) },
      api: { PORT: String(apiPorts[number]) },
      worker: {},
    }[role];
    const logFile = join(folder, `${role}-${String(number + 1)}.log`);
    let child: Child | undefined;
    return {
      async start(env) {
        child = await startChild({
          args: [role],
          env: { ...env, ...own },
          logFile,
          ready: serverReady,
          timeoutMs: startLimitMs,
        });
      },
      stop: async () => child?.stop(),
    };
  };
  const roles = Object.entries(counts) as [Role, number][]; // a closed record
  const members = roles.flatMap(([role, count]) => Array.from({ length: count }, (_, number) => member(role, number)));
  return {
    start: async (env) => void (await Promise.all(members.map((one) => one.start(env)))),
    async exchange(env) {
      for (const one of members) {
        await one.stop();
        await one.start(env);
      }
    },
    stop: async () => void (await Promise.all(members.map((one) => one.stop()))),
  };
}
