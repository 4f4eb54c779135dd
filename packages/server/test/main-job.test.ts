import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose, type Platform } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/monitoring/log.ts';
import { until } from './support/api.ts';

// The whole road on one machine with nothing configured: api, database, scheduling, queue, worker, the sandbox over
// HTTP, callback, archive, storage, signed link, viewer.

const browsers = ['/usr/bin/chromium', '/usr/bin/google-chrome'];
const browser = browsers.find((path) => spawnSync(path, ['--version']).status === 0);

let folder: string;
let platform: Platform;
let key: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-job-'));
  const environment = { PORT: '0', CALLBACKS_PORT: '0', SANDBOX_PORT: '0', SANDBOX_SPEED: '60', DATA_DIR: folder };
  const config = readConfig(environment, 'serve');
  platform = await compose(config, createLogger({ level: 'silent', format: 'json' }));
  key = platform.localKey ?? '';
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly job_id: string;
  readonly status: string;
  readonly estimated_credits: number;
  readonly charged_credits: number | null;
  readonly video_url: string | null;
  readonly file: { readonly bytes: number; readonly seconds: number; readonly width: number; readonly height: number };
}

async function call(path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${platform.urls.api}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

async function make(body: unknown): Promise<Answer> {
  const created = await call('/api/videos', body);
  expect(created.status).toBe('queued');
  let video = created;
  await until(async () => {
    video = await call(`/api/videos/${created.job_id}`);
    return ['completed', 'failed'].includes(video.status);
  }, 'the video to end');
  return video;
}

test('a prompt alone becomes a stored, paid, playable video whose link works without a key', async () => {
  const video = await make({ prompt: 'a red fox running through fresh snow' });
  expect(video).toMatchObject({ status: 'completed', estimated_credits: 1.5, charged_credits: 1.5 });
  expect(video.file).toMatchObject({ width: 1280, height: 720 });
  expect(video.file.seconds).toBeCloseTo(5.041, 2);
  const response = await fetch(video.video_url ?? '');
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(bytes.length).toBe(video.file.bytes);
  expect(bytes.indexOf('moov')).toBeLessThan(bytes.indexOf('mdat'));
  const receipt = (await call(`/api/videos/${video.job_id}/receipt`)) as unknown as {
    entries: { kind: string; credits: number }[];
  };
  expect(receipt.entries.map((entry) => [entry.kind, entry.credits])).toEqual([
    ['hold', 1.5],
    ['capture', 1.5],
  ]);
});

test('the request of the reference architecture is made as it stands', async () => {
  const request = { prompt: 'a paper boat', model: 'kling-v2-master', duration: 5, mode: 'standard' };
  expect(await make(request)).toMatchObject({ status: 'completed', estimated_credits: 10, charged_credits: 10 });
});

/** What Chromium's video element tells. */
interface Media {
  readonly currentTime: number;
  readonly videoWidth: number;
  readonly videoHeight: number;
  readonly webkitAudioDecodedByteCount: number;
}

test.skipIf(!browser)(
  'the link plays in a browser, with sound where it was asked for (skipped without Chromium)',
  async () => {
    const video = await make({ prompt: 'rain on a tin roof', mode: 'pro', sound: true });
    const profile = await mkdtemp(join(tmpdir(), 'dailies-browser-'));
    const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
    const options = { executablePath: browser ?? '', headless: true };
    const context = await chromium.launchPersistentContext(profile, {
      ...options,
      args: [
        ...quiet,
        '--disable-background-networking',
        '--disable-component-update',
        '--autoplay-policy=no-user-gesture-required',
      ],
    });
    try {
      const page = await context.newPage();
      await page.goto(video.video_url ?? '');
      const player = page.locator('video');
      await until(async () => (await player.evaluate((media: Media) => media.currentTime)) > 0.5, 'the video to play');
      const facts = await player.evaluate((media: Media) => ({
        width: media.videoWidth,
        height: media.videoHeight,
        heard: media.webkitAudioDecodedByteCount > 0,
      }));
      expect(facts).toEqual({ width: 1920, height: 1080, heard: true });
    } finally {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    }
  },
);

test('the local key is readable by its owner alone, and no provider address is in any answer', async () => {
  expect((await stat(join(folder, 'api-key'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'webhook-secret'))).mode & 0o777).toBe(0o600);
  expect((await readFile(join(folder, 'api-key'), 'utf8')).trim()).toBe(key);
  const page = JSON.stringify(await call('/api/videos'));
  expect(page).not.toContain('bs2/upload');
  expect(page).not.toContain(new URL(platform.urls.sandbox ?? '').host);
});
