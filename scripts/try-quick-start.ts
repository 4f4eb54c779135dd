/**
 * Does what the README says a newcomer should do, and fails where it does not work: the demo's file must be H.264 of the right length
 * with its index in front, the server must come up, its first request be accepted and end as a video that Chromium plays, the CLI find it.
 * With `--engines` the server runs on a real PostgreSQL (TEST_DATABASE_URL), Redis and S3 instead of embedded, and the rest is unchanged.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPostgresDatabase } from '../test/servers/postgres.ts';
import { startRedis } from '../test/servers/redis.ts';
import { startS3 } from '../test/servers/s3.ts';
import { playInChromium } from './play-in-chromium.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(path.join(root, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/^```sh\n(.+?)^```/gms)].flatMap(([, block = '']) => block.trim().split('\n'));

const folder = await mkdtemp(path.join(tmpdir(), 'dailies-quick-start-'));
const dataDir = path.join(folder, '.dailies');
const env: Record<string, string> = { DATA_DIR: dataDir, PORT: '0', CALLBACKS_PORT: '0', SANDBOX_PORT: '0' };

const [demo, start, curl, test, ...cli] = commands;
expectText(demo, 'npm ci && npm run demo');
expectText(start, 'npm start');
expectText(test, 'npm ci && npm test');

const demoLines = run('npm run --silent demo', root).trim().split('\n');
checkFile(demoLines.at(-1) ?? '');

const engines = process.argv.includes('--engines') ? await startEngines() : undefined;
Object.assign(env, engines?.env);
const server = spawn('npm', ['start'], { cwd: root, env: { ...process.env, ...env }, detached: true });
try {
  const printed = await ready(server);
  const url = /^ {2}Dailies is ready {4}(\S+)/m.exec(printed)?.[1] ?? '';
  const pasted = /^ {2}curl .*$/m.exec(printed)?.[0].trim() ?? '';
  // Only the address and the folder may differ between the README and what the server prints.
  expectText(
    pasted.replace(url, 'http://127.0.0.1:8000').replace(`${dataDir}/api-key`, '.dailies/api-key'),
    curl ?? '',
  );
  const video = JSON.parse(run(`curl -sS ${pasted.slice('curl '.length)}`, folder)) as Record<string, unknown>; // checked below
  expectText(`${String(video['status'])} ${String(video['estimated_credits'])}`, 'queued 1.5');
  console.log(run(`npm run --silent dailies -- watch ${String(video['job_id'])} -o ${folder}/first.mp4`, root));
  checkFile(`${folder}/first.mp4`);
  const shown = run(`npm run --silent dailies -- show ${String(video['job_id'])} --json`, root);
  const { video_url: link, receipt } = JSON.parse(shown) as {
    video_url: string;
    receipt: { entries: { kind: string; credits: number }[] };
  }; // the CLI's own answer
  expectText(receipt.entries.map(({ kind, credits }) => `${kind} ${credits}`).join(', '), 'hold 1.5, capture 1.5');
  console.log('played by Chromium from its link:', await playInChromium(link));
  for (const command of cli.filter((line) => line.startsWith('npm run dailies'))) {
    console.log(run(command.replace('npm run', 'npm run --silent').replace('generate', `generate -o ${folder}`), root));
  }
} finally {
  if (server.pid !== undefined) process.kill(-server.pid, 'SIGTERM');
  await new Promise((resolve) => server.once('close', resolve));
  await engines?.stop();
  await rm(folder, { recursive: true });
}

async function startEngines(): Promise<{ env: Record<string, string>; stop(): Promise<void> }> {
  const database = await createPostgresDatabase(
    process.env['TEST_DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres',
  );
  const [redis, s3] = await Promise.all([startRedis(), startS3()]);
  return {
    env: {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      S3_BUCKET: await s3.makeBucket(),
      S3_ENDPOINT: s3.endpoint,
      S3_ACCESS_KEY_ID: s3.credentials.accessKeyId,
      S3_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
      KLING_PROVIDER: 'sandbox',
    },
    stop: async () => {
      await Promise.all([redis.stop(), s3.stop()]);
      await database.drop();
    },
  };
}

function run(command: string, cwd: string): string {
  console.log(`$ ${command}`);
  const result = spawnSync('bash', ['-c', command], { cwd, env: { ...process.env, ...env }, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} ended with ${result.status}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** H.264, 5 s, 16:9, and the index before the media so that playback starts at once. */
function checkFile(file: string): void {
  const entries = 'stream=codec_name,width,height:format=duration';
  const probe = run(`ffprobe -v error -select_streams v -show_entries ${entries} -of json '${file}'`, root);
  const { streams, format } = JSON.parse(probe) as {
    streams: { codec_name: string; width: number; height: number }[];
    format: { duration: string };
  }; // ffprobe's own format
  const [video] = streams;
  const isRight =
    video?.codec_name === 'h264' &&
    Math.abs(video.width / video.height - 16 / 9) < 0.02 &&
    Math.abs(Number(format.duration) - 5) < 0.2;
  const boxes = run(`ffprobe -v trace '${file}' 2>&1 | grep -oE "type:'(moov|mdat)' parent:'root'" | head -1`, root);
  if (!isRight || !boxes.includes('moov')) throw new Error(`${file} is not what it should be: ${probe}${boxes}`);
  console.log(`${file}: ${video.codec_name} ${video.width} x ${video.height}, ${format.duration} s, index in front`);
}

async function ready(child: ChildProcess): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`npm start was not ready in 60 s: ${printed}`)), 60_000);
    const take = (chunk: Buffer): void => {
      printed += chunk.toString();
      if (!/First request:\n.+\n/.test(printed)) return;
      clearTimeout(timer);
      resolve(printed);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}: ${printed}`)));
  });
}

function expectText(found: string | undefined, wanted: string): void {
  if (found !== wanted) throw new Error(`the README and the program differ:\n  ${found}\n  ${wanted}`);
}
