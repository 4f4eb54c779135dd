/**
 * Judges what npm would publish, as a stranger gets it: builds, packs the four packages, installs the tarballs into an empty project, and
 * there checks their contents and types and makes videos: SDK (on this Node and on every other one in PATH) -> `dailies serve` -> file.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = ['sdk', 'sandbox', 'server', 'cli'];
const folder = await mkdtemp(path.join(tmpdir(), 'dailies-packed-'));
const project = path.join(folder, 'project');
const program = path.join(project, 'node_modules/.bin/dailies');

const smoke = `
import { createDailies, DailiesError, isFinalStatus } from '@dailies/sdk';
const [url, apiKey, wantsPoster] = process.argv.slice(2);
const dailies = createDailies({ url, apiKey });
const refusal = await dailies.videos.create({ prompt: '' }).catch((error) => error);
if (!(refusal instanceof DailiesError) || refusal.code !== 'invalid_request') throw refusal;
const { id } = await dailies.videos.create({ prompt: 'made by Node ' + process.version });
const types = [];
for await (const event of dailies.videos.events(id)) types.push(event.type);
const video = await dailies.videos.waitFor(id);
if (video.status !== 'completed' || !isFinalStatus(video.status)) throw new Error(JSON.stringify(video));
const { body, sizeBytes } = await dailies.videos.download(id);
let received = 0;
for await (const chunk of body) received += chunk.length;
if (received !== sizeBytes || received < 20_000) throw new Error(received + ' of ' + sizeBytes + ' bytes');
for (let tries = 0; wantsPoster && tries < 100 && (await dailies.videos.get(id)).poster_url === null; tries++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
if (wantsPoster && (await dailies.videos.get(id)).poster_url === null) throw new Error('no poster');
console.log('Node ' + process.version + ': ' + types.length + ' events, ' + received + ' bytes, charged ' + video.charged_credits);
`;

const typed = `
import { createDailies, DailiesError, type Dailies, type DailiesOptions } from '@dailies/sdk';
const options: DailiesOptions = { url: 'http://127.0.0.1:8000', apiKey: 'key' };
const dailies: Dailies = createDailies(options);
const video = await dailies.videos.create({ prompt: 'a red fox', model: 'kling-2.6', metadata: { scene: '12' } });
const credits: number = video.estimated_credits;
// @ts-expect-error: if the types were lost (any), this would pass
const wrong: number = video.id;
// @ts-expect-error: a prompt is not a number
void dailies.videos.create({ prompt: 5 });
console.log(credits, wrong, DailiesError);
`;

try {
  run('node', ['scripts/build.ts'], root);
  await install();
  await checkTypes();
  const version = run(program, ['--version'], project).trim();
  const { version: wanted } = JSON.parse(await readFile(path.join(root, 'packages/cli/package.json'), 'utf8')) as {
    version: string;
  }; // our own file
  if (version !== wanted) throw new Error(`dailies --version says ${version}, not ${wanted}`);
  await withProgram(['sandbox', '--port', '0'], /at (http:\S+)/, async (url) => {
    const answer = await fetch(`${url}/_sandbox/stats`);
    if (!answer.ok) throw new Error(`the sandbox answers ${answer.status}`);
  });
  await withProgram(['serve'], /Dailies is ready +(http:\S+)/, makeVideos);
  console.log('The packed packages work.');
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Packs, checks what is inside, and installs, without the workspace anywhere near. */
async function install(): Promise<void> {
  const selected = packages.flatMap((name) => ['-w', `packages/${name}`]);
  await mkdir(project, { recursive: true });
  const packed = JSON.parse(run('npm', ['pack', ...selected, '--json', '--pack-destination', folder], root)) as unknown;
  // npm 11 and older answer with a list, newer ones with an object by name.
  const tarballs = Object.values(packed as object) as {
    name: string;
    filename: string;
    size: number;
    files: { path: string }[];
  }[];
  for (const { name, size, files } of tarballs) {
    const paths = files.map((file) => file.path);
    const missing = ['README.md', 'LICENSE', 'package.json'].filter((file) => !paths.includes(file));
    const strange = paths.filter(
      (file) => !/^(dist\/.+\.(js|d\.ts)|bin\/dailies\.js|README\.md|LICENSE|package\.json)$/.test(file),
    );
    const forTests = paths.filter((file) => /\.(test|testing|contract)\./.test(file));
    const wrong = [...missing, ...strange, ...forTests];
    if (wrong.length > 0) throw new Error(`${name} lacks, or should not have: ${wrong.join(', ')}`);
    console.log(`${name}: ${paths.length} files, ${Math.round(size / 1024)} KB packed`);
  }
  await writeFile(path.join(project, 'package.json'), '{"private": true, "type": "module"}');
  const files = tarballs.map(({ filename }) => path.join(folder, path.basename(filename)));
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...files], project);
}

/** The SDK's types, without leniency for its declarations, as a bundler and as Node look for them. */
async function checkTypes(): Promise<void> {
  await writeFile(path.join(project, 'typed.ts'), typed);
  const tsc = path.join(root, 'node_modules/.bin/tsc');
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    const how = ['--module', module, '--moduleResolution', resolution, '--target', 'es2022', '--lib', 'es2022,dom'];
    run(tsc, [...how, '--strict', '--noEmit', '--types', '', 'typed.ts'], project);
    console.log(`types resolve: ${resolution}`);
  }
}

async function makeVideos(url: string): Promise<void> {
  const key = (await readFile(path.join(project, '.dailies/api-key'), 'utf8')).trim();
  await writeFile(path.join(project, 'smoke.js'), smoke);
  const poster = spawnSync('ffmpeg', ['-version']).status === 0 ? ['poster'] : [];
  for (const node of nodes()) console.log(run(node, ['smoke.js', url, key, ...poster], project).trim());
  const file = path.join(folder, 'fox.mp4');
  run(program, ['generate', 'a red fox', '--yes', '--output', file], project);
  const bytes = await readFile(file);
  if (bytes.toString('latin1', 4, 8) !== 'ftyp') throw new Error('dailies generate wrote something that is no MP4');
  for (const page of ['/docs', '/docs/errors', '/openapi.json']) {
    const answer = await fetch(url + page);
    if (!answer.ok) throw new Error(`${page} answers ${answer.status}`);
  }
}

/** This Node, and those of PATH that are of another major version that the SDK supports. */
function nodes(): string[] {
  const byMajor = new Map([[process.versions.node.split('.')[0], process.execPath]]);
  for (const part of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const { stdout } = spawnSync(path.join(part, 'node'), ['--version'], { encoding: 'utf8' });
    const [, major] = /^v(\d+)/.exec(stdout ?? '') ?? [];
    if (major && Number(major) > 18 && !byMajor.has(major)) byMajor.set(major, path.join(part, 'node'));
  }
  return [...byMajor.values()];
}

/** Starts `dailies`, waits for the line that names its address, uses it, and sees it end cleanly. */
async function withProgram(args: string[], ready: RegExp, use: (url: string) => Promise<void>): Promise<void> {
  const env = { PATH: process.env['PATH'], PORT: '0', CALLBACKS_PORT: '0', SANDBOX_PORT: '0', SANDBOX_SPEED: '100' };
  const child = spawn(program, args, { cwd: project, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  try {
    await use(await address(child, ready));
  } finally {
    child.kill('SIGTERM');
  }
  const code = await ended;
  if (code !== 0) throw new Error(`dailies ${args.join(' ')} ended with ${code}`);
  console.log(`dailies ${args.join(' ')}: ran and ended`);
}

async function address(child: ChildProcess, ready: RegExp): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready in 60 s: ${printed}`)), 60_000);
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${printed}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      const [, url] = ready.exec(printed) ?? [];
      if (!url) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

function run(command: string, args: readonly string[], cwd: string): string {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (result.status === 0) return result.stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${result.status}:\n${result.stdout}${result.stderr}`);
}
