import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresDatabase, reachablePostgres } from '../servers/postgres.ts';
import { missingS3, startS3 } from '../servers/s3.ts';
import { eventually, freePorts, missingPrograms, startProgram, tempFolder } from '../servers/spawn.ts';
import { readCompose, repository, toMs, type ComposeProject } from './compose-project.ts';

const server = await reachablePostgres();
const missing =
  missingPrograms('docker-compose', 'redis-server') ?? (server === null ? 'there is no PostgreSQL to ask' : null);

const apiKey = `dls_${'7'.repeat(43)}`;
/** The first try of deploy/compose.env.example: nothing but the secrets is filled in. */
const firstTry = {
  POSTGRES_PASSWORD: 'f00d',
  DAILIES_API_KEY: apiKey,
  KLING_PROVIDER: 'sandbox',
  SANDBOX_URL: 'http://sandbox:8002',
  WEBHOOK_URL: 'http://webhook:8001',
};

interface Running {
  readonly ports: Ports;
  readonly output: () => string;
  /** The exit code, when it ends. */
  readonly ended: Promise<number | null>;
  /** Ends it as compose does. @returns exit code and time */
  stop(): Promise<{ readonly code: number | null; readonly ms: number }>;
}

interface Ports {
  readonly api: number;
  readonly callbacks: number;
  readonly metrics: number;
}

describe.skipIf(missing)(
  `the services of docker-compose.yml, run by hand${missing === null ? '' : ` (${missing})`}`,
  () => {
    const running = new Map<string, Running>();
    const release: (() => Promise<void>)[] = [];
    let project: ComposeProject;
    let url = '';
    /** What compose's own network and volumes would be, as this machine has it. */
    let here: (text: string, ports: Ports) => string;

    beforeAll(async () => {
      project = await readCompose(firstTry);
      const database = await createPostgresDatabase(server ?? '');
      release.push(database.drop);
      const folder = await tempFolder('compose-data');
      release.push(folder.remove);
      const [redisPort = 0, sandboxPort = 0, callbacksPort = 0] = await freePorts(3);
      const own = project.services['redis']?.command ?? [];
      const redis = await startProgram(
        'redis-server',
        [...own.slice(1), '--bind', '127.0.0.1', '--port', String(redisPort), '--dir', folder.path],
        {
          cwd: folder.path,
          logFile: join(folder.path, 'redis.log'),
          ready: async () => (await readFile(join(folder.path, 'redis.log'), 'utf8')).includes('Ready to accept'),
        },
      );
      release.push(() => redis.stop());
      here = (text, ports) =>
        text
          .replace('postgres://dailies:f00d@postgres:5432/dailies', database.url)
          .replace('redis:6379', `127.0.0.1:${String(redisPort)}`)
          .replace('http://webhook:8001', `http://127.0.0.1:${String(callbacksPort)}`)
          .replace(/(127\.0\.0\.1|sandbox):8002/, `127.0.0.1:${String(sandboxPort)}`)
          .replace(/^8002$/, String(sandboxPort))
          .replace(/^8001$/, String(callbacksPort))
          .replace(/^8000$/, String(ports.api))
          .replace(/\b9464\b/, String(ports.metrics))
          .replace(/^0\.0\.0\.0$/, '127.0.0.1')
          .replace(/^\/data$/, join(folder.path, 'data'));
    });

    afterAll(async () => {
      for (const one of running.values()) await one.stop();
      for (const end of release.toReversed()) await end();
    });

    /** The program, arguments and environment of a service, and nothing else. */
    function start(name: string, ports: Ports): Running {
      const { command = [], environment = {} } = project.services[name] ?? {};
      const env = Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [key, here(String(value ?? ''), ports)]),
      );
      const program = join(repository, 'packages/cli/src/main.ts');
      const child = spawn(
        process.execPath,
        ['--conditions=source', program, ...command.map((word) => here(word, ports))],
        {
          env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
          cwd: '/',
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      const ended = once(child, 'close').then(() => child.exitCode);
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => (output += text));
      }
      return {
        ports,
        output: () => output,
        ended,
        async stop() {
          const startedMs = performance.now();
          const limit = setTimeout(() => child.kill('SIGKILL'), 60_000);
          child.kill('SIGTERM');
          const code = await ended;
          clearTimeout(limit);
          return { code, ms: performance.now() - startedMs };
        },
      };
    }

    /** The health check of a service, run as the engine runs it. */
    async function isHealthy(name: string, { ports, output }: Running): Promise<boolean> {
      const [kind, program, ...args] = project.services[name]?.healthcheck?.test ?? [];
      if (kind !== 'CMD' || program !== 'node')
        throw new Error(`${name} is checked by ${String(kind)} ${String(program)}`);
      return promisify(execFile)(
        process.execPath,
        args.map((word) => here(word, ports)),
        { env: {} },
      ).then(
        () => true,
        () => {
          if (output().includes('could not start')) throw new Error(`${name} said: ${output()}`);
          return false;
        },
      );
    }

    it('migrate makes the schema and the first key, and may run again', async () => {
      for (const expected of ['Applied: ', 'up to date']) {
        const one = start('migrate', { api: 0, callbacks: 0, metrics: 0 });
        expect(await one.ended, one.output()).toBe(0);
        expect(one.output()).toContain(expected);
        expect(one.output()).toContain('The API key of DAILIES_API_KEY works.');
        expect(one.output()).not.toContain(apiKey);
      }
    });

    it('api, two workers, webhook and sandbox start with the environment of compose and pass their health checks', async () => {
      for (const name of ['sandbox', 'worker', 'worker', 'webhook', 'api']) {
        const [api = 0, callbacks = 0, metrics = 0] = await freePorts(3);
        const label = running.has(name) ? `${name}-2` : name;
        running.set(label, start(name, { api, callbacks, metrics }));
        if (name === 'api') url = `http://127.0.0.1:${String(api)}`;
      }
      expect(project.services['worker']?.deploy?.replicas).toBe(2);
      for (const [label, one] of running) {
        await eventually(`${label} is healthy`, () => isHealthy(label.replace(/-2$/, ''), one));
      }
    });

    it('a create through the api is completed by a worker after a callback to webhook, and its file comes from the shared volume', async () => {
      const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
      const answer = await fetch(`${url}/api/videos`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ prompt: 'a red fox running through fresh snow' }),
      });
      const created = (await answer.json()) as { id: string };
      expect(answer.status, JSON.stringify(created)).toBe(202);
      const video = await eventually('it is completed', async () => {
        const now = (await (await fetch(`${url}/api/videos/${created.id}`, { headers })).json()) as {
          status: string;
          video_url: string | null;
        };
        expect(['failed', 'canceled']).not.toContain(now.status);
        return now.status === 'completed' && now;
      });
      const file = await fetch(
        new URL(new URL(video.video_url ?? '').pathname + new URL(video.video_url ?? '').search, url),
      );
      expect(file.status).toBe(200);
      expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(20_000);
      const metrics = `http://127.0.0.1:${String(running.get('webhook')?.ports.metrics)}/metrics`;
      await eventually('a callback was received', async () =>
        /^dailies_callbacks_total\{outcome="(hint|late)"\} [1-9]/m.test(await (await fetch(metrics)).text()),
      );
    });

    it('the health check fails when the part is gone', async () => {
      const [metrics = 0] = await freePorts(1);
      const gone: Running = {
        ports: { api: 0, callbacks: 0, metrics },
        output: () => '',
        ended: Promise.resolve(0),
        stop: async () => ({ code: 0, ms: 0 }),
      };
      expect(await isHealthy('api', gone)).toBe(false);
    });

    it('each ends with 0 on the signal of compose, well within its grace time', async () => {
      for (const [label, one] of [...running].toReversed()) {
        const { code, ms } = await one.stop();
        running.delete(label);
        expect(code, `${label}: ${one.output().slice(-500)}`).toBe(0);
        const grace = project.services[label.replace(/-2$/, '')]?.stop_grace_period ?? '10s';
        expect(ms, label).toBeLessThan(toMs(grace));
      }
    });
  },
);

const missingBucketServer = missingS3();
describe.skipIf(missingBucketServer)(
  `make-bucket${missingBucketServer === null ? '' : ` (${missingBucketServer})`}`,
  () => {
    it('makes the bucket, and does nothing when it is there', async () => {
      const s3 = await startS3();
      try {
        const env = {
          S3_BUCKET: 'dailies',
          S3_ENDPOINT: s3.endpoint,
          S3_ACCESS_KEY_ID: s3.credentials.accessKeyId,
          S3_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
        };
        const program = join(repository, 'deploy/compose/make-bucket.mjs');
        const run = () => promisify(execFile)(process.execPath, [program], { env });
        expect((await run()).stdout).toBe('Made the bucket dailies.\n');
        expect((await run()).stdout).toBe('The bucket dailies is there.\n');
      } finally {
        await s3.stop();
      }
    });
  },
);
