/** A process of archive.ts: copies films in one of two ways, and prints how fast it was and by how much its memory grew. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Agent, request } from 'undici';
import { copyVideo } from '../packages/server/src/storage/copy-video.ts';
import { createDownloader } from '../packages/server/src/storage/download.ts';
import { openBlobStore } from '../packages/server/src/storage/open.ts';
import { s3Config } from '../test/servers/s3-config.ts';

export interface ArchiveRun {
  readonly way: 'bare' | 'copy';
  readonly films: number;
  readonly atOnce: number;
  readonly address: string;
  readonly folder: string;
  /** Null: into the folder. */
  readonly bucket: BucketAddress | null;
}

/** Of an S3 server beside this process. */
export interface BucketAddress {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const run = JSON.parse(process.argv[2] ?? '') as ArchiveRun; // written by archive.ts
const { address, folder, bucket } = run;
const agent = new Agent();
const downloader = createDownloader({
  allowedHosts: [],
  trustedOrigins: [new URL(address).origin],
  maxBytes: 2 ** 30,
  maxRedirects: 0,
  connectTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
});
const store = await openBlobStore(
  bucket ? s3Config(bucket.endpoint, bucket.bucket, bucket) : { driver: 'fs', directory: join(folder, 'store') },
);
const { signal } = new AbortController();

async function bare(name: string): Promise<number> {
  const answer = await request(address, { dispatcher: agent });
  const file = await open(join(folder, name), 'w');
  const target = file.createWriteStream({ flush: true });
  await pipeline(answer.body, target);
  return target.bytesWritten;
}

async function copy(name: string): Promise<number> {
  const remote = await downloader.open(address, { signal });
  const stored = await copyVideo({
    remote,
    store,
    key: `films/${name}`,
    spoolDirectory: join(folder, 'spool'),
    signal,
  });
  // The server keeps all it holds in memory.
  if (bucket) await store.delete(`films/${name}`);
  return stored.bytes;
}

const one = run.way === 'bare' ? bare : copy;
await one('warm-up.mp4');
const before = process.memoryUsage.rss();
let most = before;
const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
const begun = performance.now();
let next = 0;
let bytes = 0;
await Promise.all(
  Array.from({ length: run.atOnce }, async () => {
    while (next < run.films) {
      const copied = await one(`${next++}.mp4`); // before the sum is read, since others add to it meanwhile
      bytes += copied;
    }
  }),
);
const seconds = (performance.now() - begun) / 1_000;
clearInterval(watch);
await Promise.all([downloader.close(), agent.close(), store.close()]);
console.log(JSON.stringify({ bytesPerSecond: bytes / seconds, grownBytes: most - before }));
