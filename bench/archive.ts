/**
 * Copies of 20 MB films into the store (index in front, synced, hashed) against a bare stream of the same bytes from the same
 * server into a synced file; and the memory of many copies at once. The films are served by this process, copied by another.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tinyClip } from '../packages/sandbox/src/media/render.ts';
import { missingS3, startS3 } from '../test/servers/s3.ts';
import type { ArchiveRun, BucketAddress } from './archive-child.ts';
import type { Bench, Figure } from './report.ts';
import { withFolder } from './surroundings.ts';

const filmBytes = 20 * 1024 * 1024;
const rounds = 3;
const mega = 1024 * 1024;
/** For workers that copy many films at once: V8 otherwise spends 48 MB on young objects, however few live (docs/performance.md). */
const workerFlag = '--max-semi-space-size=4';

export const archive: Bench = async () => {
  const server = await serve(await film());
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/film.mp4`; // listening on TCP
    const run = (way: ArchiveRun['way'], films: number, atOnce: number, bucket: BucketAddress | null = null) =>
      withFolder((folder) => inChild({ way, films, atOnce, address, folder, bucket }));
    let bare = 0;
    let copied = 0;
    for (let round = 0; round < rounds; round++) {
      bare = Math.max(bare, (await run('bare', 16, 4)).bytesPerSecond);
      copied = Math.max(copied, (await run('copy', 16, 4)).bytesPerSecond);
    }
    const some = await run('copy', 16, 16);
    const many = await run('copy', 100, 100);
    return [
      { what: 'bare streams', value: bare / mega, unit: 'MB/s' },
      { what: 'copies', value: copied / mega, unit: 'MB/s' },
      { what: 'copies per bare stream', value: copied / bare, unit: '', target: { atLeast: 0.8 } },
      { what: 'memory of 16 at once', value: some.grownBytes / mega, unit: 'MB' },
      { what: 'memory of 100 at once', value: many.grownBytes / mega, unit: 'MB', target: { atMost: 96 } },
      ...(await intoS3((films, atOnce, bucket) => run('copy', films, atOnce, bucket))),
    ];
  } finally {
    server.close();
    server.closeAllConnections();
  }
};

/** The same into a real S3 server beside it, where one is installed. */
async function intoS3(
  run: (films: number, atOnce: number, bucket: BucketAddress) => Promise<Answer>,
): Promise<readonly Figure[]> {
  const missing = missingS3();
  if (missing !== null) {
    console.error(`Not measured into S3: ${missing}.`);
    return [];
  }
  const server = await startS3({ storeBytes: 4 * 1024 ** 3 });
  try {
    const bucket = { endpoint: server.endpoint, bucket: await server.makeBucket(), ...server.credentials };
    const few = await run(16, 4, bucket);
    const many = await run(100, 100, bucket);
    return [
      { what: 'copies into S3', value: few.bytesPerSecond / mega, unit: 'MB/s' },
      { what: 'memory of 100 at once into S3', value: many.grownBytes / mega, unit: 'MB', target: { atMost: 96 } },
    ];
  } finally {
    await server.stop();
  }
}

interface Answer {
  readonly bytesPerSecond: number;
  readonly grownBytes: number;
}

async function inChild(run: ArchiveRun): Promise<Answer> {
  const program = fileURLToPath(new URL('./archive-child.ts', import.meta.url));
  const args = [...process.execArgv, workerFlag, program, JSON.stringify(run)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Answer; // what the child prints
}

/** A small film with noise in front of its index, as if it had been long. */
async function film(): Promise<Buffer> {
  const spec = { prompt: 'bench', width: 320, height: 240, fps: 24, frames: 24, sound: false, seed: 1 };
  const clip = Buffer.from(await tinyClip(spec));
  const noise = Buffer.alloc(filmBytes - clip.length);
  for (let at = 0; at < noise.length; at += 65_536) randomBytes(65_536).copy(noise, at);
  noise.writeUInt32BE(noise.length);
  noise.write('mdat', 4, 'latin1');
  const index = clip.lastIndexOf('moov') - 4;
  return Buffer.concat([clip.subarray(0, index), noise, clip.subarray(index)]);
}

async function serve(content: Buffer): Promise<Server> {
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = Number(range?.[1] ?? 0);
    const end = range?.[2] ? Number(range[2]) : content.length - 1;
    response.writeHead(range ? 206 : 200, {
      'content-type': 'video/mp4',
      'content-length': end - start + 1,
      etag: '"film"',
      'accept-ranges': 'bytes',
      ...(range ? { 'content-range': `bytes ${start}-${end}/${content.length}` } : {}),
    });
    response.end(content.subarray(start, end + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
