/** Copies a small and then a large file in a process of its own and prints how much resident memory the large one added. */
import { createFsBlobStore } from './fs.ts';
import { copyVideo } from './copy-video.ts';
import { createDownloader } from './download.ts';

const [origin = '', directory = '', small = '', large = ''] = process.argv.slice(2);
const downloader = createDownloader({
  allowedHosts: [],
  trustedOrigins: [origin],
  maxBytes: 1e9,
  maxRedirects: 0,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
});
const store = await createFsBlobStore({ directory });
const { signal } = new AbortController();

async function copy(path: string): Promise<void> {
  const remote = await downloader.open(origin + path, { signal });
  await copyVideo({ remote, store, key: 'copy.mp4', spoolDirectory: `${directory}/.spool`, signal });
}

// V8 lets some tens of MB of dead buffers gather before it collects them, however long the file is. A first copy brings the
// process there; what the second adds is what a longer file costs.
await copy(small);
const before = process.memoryUsage.rss();
let most = before;
const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
await copy(large);
clearInterval(timer);
await downloader.close();
process.stdout.write(String(Math.max(most, process.memoryUsage.rss()) - before));
