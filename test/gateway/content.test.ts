import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDailies, type Dailies } from '@dailies/sdk';
import { addressOf, startDailies, type Running } from '../roles/dailies.ts';
import { missingNginx, startNginx, type NginxServer } from '../servers/nginx.ts';
import { findProgram, freePorts, missingPrograms, tempFolder, type TempFolder } from '../servers/spawn.ts';

const reason = missingNginx() ?? missingPrograms('chromium');

let folder: TempFolder;
let gateway: NginxServer;
let server: Running;
let ports: { readonly api: number; readonly callbacks: number };
let dailies: Dailies;
let videoId: string;

async function startServer(linkSeconds: number): Promise<void> {
  server = startDailies(['serve'], {
    DATA_DIR: folder.path,
    PORT: String(ports.api),
    CALLBACKS_PORT: String(ports.callbacks),
    SANDBOX_PORT: '0',
    METRICS_PORT: '0',
    SANDBOX_SPEED: '100',
    PUBLIC_URL: gateway.url,
    KLING_CALLBACK_URL: gateway.url,
    LINK_SECONDS: String(linkSeconds),
  });
  await addressOf(server);
  const apiKey = (await readFile(join(folder.path, 'api-key'), 'utf8')).trim();
  dailies = createDailies({ url: gateway.url, apiKey });
}

/** Stopped as by a power cut: from here on nobody answers but the gateway. */
async function stopOrigin(): Promise<void> {
  server.signal('SIGKILL');
  await server.ended;
}

async function freshLink(): Promise<string> {
  const { video_url: link } = await dailies.videos.get(videoId);
  expect(link).toContain(`${gateway.url}/api/videos/${videoId}/content?`);
  return link ?? '';
}

async function ask(link: string, headers: Record<string, string> = {}) {
  const answer = await fetch(link, { headers });
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}

beforeAll(async () => {
  if (reason !== null) return;
  folder = await tempFolder('content');
  const [api = 0, callbacks = 0] = await freePorts(2);
  ports = { api, callbacks };
  gateway = await startNginx({ apiPorts: [api], callbacksPort: callbacks });
  await startServer(600);
  const video = await dailies.videos.create({ prompt: 'a fox in the snow' });
  videoId = video.id;
  const done = await dailies.videos.waitFor(videoId);
  expect(done.status).toBe('completed');
});

afterAll(async () => {
  await server?.stop();
  await gateway?.stop();
  await folder?.remove();
});

/** Runs in a real browser that has never seen the page, so that nothing comes from a cache of its own. */
async function inBrowser<T>(use: (page: Page) => Promise<T>): Promise<T> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  const browser = await chromium.launch({ executablePath: findProgram('chromium') ?? '', headless: true, args });
  try {
    return await use(await browser.newPage({ ignoreHTTPSErrors: true }));
  } finally {
    await browser.close();
  }
}

interface Played {
  readonly duration: number;
  readonly playedTo: number;
  readonly soughtTo: number;
  readonly width: number;
}

/** Plays from the start, then jumps to half a second before the end and plays on. */
async function playAndSeek(page: Page, link: string): Promise<Played> {
  await page.setContent('<video muted preload="auto"></video>');
  // As text: this runs in the browser, whose types the server's tests do not know.
  return page.evaluate<Played>(`(async () => {
    const video = document.querySelector('video');
    const until = (name) => new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
    });
    const playing = until('playing');
    video.src = ${JSON.stringify(link)};
    await Promise.all([video.play(), playing]);
    while (video.currentTime < 0.3) await until('timeupdate');
    const playedTo = video.currentTime;
    const sought = until('seeked');
    video.currentTime = video.duration - 0.5;
    await sought;
    const soughtTo = video.currentTime;
    await (video.ended || until('ended'));
    return { duration: video.duration, playedTo, soughtTo, width: video.videoWidth };
  })()`);
}

const title = `content through the gateway${reason === null ? '' : ` (${reason})`}`;
describe.skipIf(reason !== null)(title, () => {
  test('callbacks of the provider come in through the gateway, and the log does not show their proof', async () => {
    const lines = (await gateway.readLog()).split('\n').filter((line) => line.includes('/callbacks/'));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({ path: '/callbacks/', status: 200, method: 'POST' });
    }
  });

  test('a link delivers the file byte for byte, in ranges too, and links of other viewers share the copy', async () => {
    const whole = await ask(await freshLink());
    expect(whole.status).toBe(200);
    const direct = await ask(`http://127.0.0.1:${String(ports.api)}${new URL(await freshLink()).pathname}`, {
      authorization: `Bearer ${(await readFile(join(folder.path, 'api-key'), 'utf8')).trim()}`,
    });
    expect(whole.bytes.equals(direct.bytes)).toBe(true);
    expect(whole.headers.get('etag')).toBe(direct.headers.get('etag'));
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    expect(whole.headers.get('content-type')).toBe('video/mp4');
    await delay(1_000); // links name whole seconds: this one is another one
    const other = await ask(await freshLink(), { range: 'bytes=100-199' });
    expect(other.status).toBe(206);
    expect(other.bytes.equals(direct.bytes.subarray(100, 200))).toBe(true);
    expect(other.headers.get('x-cache')).toBe('HIT');
    expect(other.headers.get('cache-control')).toBe('private, max-age=60');
    const etag = whole.headers.get('etag') ?? '';
    expect((await ask(await freshLink(), { 'if-none-match': etag })).status).toBe(304);
  });

  test('a cached file is not open to anybody without a link, with a forged one, or with a link to another file', async () => {
    const link = await freshLink();
    expect((await ask(link)).status).toBe(200);
    const url = new URL(link);
    const expires = Number(url.searchParams.get('expires'));
    const wrong = [
      url.origin + url.pathname,
      link.replace(`expires=${String(expires)}`, `expires=${String(expires + 1)}`),
      link.replace(/signature=./, (text) => (text.endsWith('A') ? 'signature=B' : 'signature=A')),
      `${url.origin}${url.pathname}?signature=`,
      `${url.origin}${url.pathname}?signature=x`,
      link.replace(videoId, `vid_${'0'.repeat(26)}`),
    ];
    for (const one of wrong) {
      const answer = await ask(one);
      expect([401, 403], one).toContain(answer.status);
      expect(JSON.parse(answer.bytes.toString())).toHaveProperty('code');
    }
    expect((await ask(link.replace('?', '?expires=1&'))).status).toBe(400);
    // What the api says itself comes through word for word.
    expect(JSON.parse((await ask(wrong[1] ?? '')).bytes.toString())).toMatchObject({ code: 'link_invalid' });
  });

  test('a real browser plays and seeks a link from the cache while the origin is stopped', async () => {
    const link = await freshLink();
    expect((await ask(link)).status).toBe(200);
    await stopOrigin();
    for (const address of [link, link.replace(gateway.url, gateway.httpsUrl)]) {
      const { duration, playedTo, soughtTo, width } = await inBrowser((page) => playAndSeek(page, address));
      expect(duration).toBeGreaterThan(4);
      expect(playedTo).toBeGreaterThanOrEqual(0.3);
      expect(soughtTo).toBeCloseTo(duration - 0.5, 1);
      expect(width).toBeGreaterThan(0);
    }
    // Anything that was not allowed before is not allowed now.
    expect((await ask(link.replace(/expires=\d/, 'expires=9'))).status).toBe(503);
  });

  test('a link ends when it was signed to end, also in the cache and with the origin stopped', async () => {
    await startServer(10);
    const link = await freshLink();
    const endsMs = Number(new URL(link).searchParams.get('expires')) * 1_000;
    expect((await ask(link)).status).toBe(200);
    await stopOrigin();
    let lastOkMs = 0;
    for (;;) {
      const askedMs = Date.now();
      if ((await ask(link)).status !== 200) break;
      lastOkMs = askedMs;
      await delay(50);
    }
    expect(lastOkMs).toBeGreaterThan(endsMs - 2_500);
    expect(lastOkMs).toBeLessThan(endsMs + 1_000);
    const log = await gateway.readLog();
    expect(log).not.toContain('signature=');
  });
});
