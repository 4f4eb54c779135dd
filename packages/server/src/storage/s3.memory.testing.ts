/** Puts many small and then many large files at once in a process of its own; prints how much memory the large ones added. */
import { Readable } from 'node:stream';
import { s3Config } from '../../../../test/servers/s3-config.ts';
import { openS3BlobStore } from './s3.ts';

const [endpoint = '', bucket = '', accessKeyId = '', secretAccessKey = ''] = process.argv.slice(2);
const mega = 1024 * 1024;
const atOnce = 24;
const config = s3Config(endpoint, bucket, { accessKeyId, secretAccessKey });
const store = await openS3BlobStore(config, { partBytes: 8 * mega });

async function putMany(megabytes: number): Promise<void> {
  const { signal } = new AbortController();
  const one = async (index: number): Promise<void> => {
    const pieces = function* () {
      for (let piece = 0; piece < megabytes * 16; piece++) yield Buffer.alloc(mega / 16, piece);
    };
    const options = { contentType: 'video/mp4', bytes: megabytes * mega, signal };
    await store.put(`film-${index}.mp4`, Readable.from(pieces()), options);
    await store.delete(`film-${index}.mp4`);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => one(index)));
}

// The first files bring V8 to where dead buffers are collected; what the others add is what longer files cost.
await putMany(10);
const before = process.memoryUsage.rss();
let most = before;
const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
await putMany(30);
clearInterval(timer);
await store.close();
process.stdout.write(String(Math.max(most, process.memoryUsage.rss()) - before));
