import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { compose } from '../../src/compose.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/monitoring/log.ts';

const videos = 12;

interface Answer {
  readonly job_id: string;
  readonly status: string;
}

/**
 * The whole platform makes videos while its queue engine loses what it has, again and again: all videos end, and each is paid once.
 * @param environment which engine it uses
 */
export async function makeVideosWhileLosing(
  environment: Readonly<Record<string, string>>,
  lose: () => Promise<unknown>,
): Promise<void> {
  const platform = await startPlatform(environment);
  const created = await Promise.all(
    Array.from({ length: videos }, (_, index) => platform.call('/api/videos', { prompt: `red fox ${index}` })),
  );
  let times = 0;
  let ended = 0;
  const deadline = performance.now() + 100_000;
  while (ended < videos && performance.now() < deadline) {
    if (times < 10) {
      await lose();
      times++;
    }
    await sleep(150);
    const states = await Promise.all(created.map(({ job_id: id }) => platform.call(`/api/videos/${id}`)));
    ended = states.filter(({ status }) => status === 'completed').length;
  }
  expect(ended).toBe(videos);
  expect(times).toBeGreaterThanOrEqual(3);
  expect(await platform.stats()).toMatchObject({ creates_accepted: videos, max_creates_per_external_id: 1 });
}

async function startPlatform(engine: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'dailies-losing-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const environment = {
    ...engine,
    KLING_PROVIDER: 'sandbox',
    KLING_CONCURRENCY: '4',
    SANDBOX_SPEED: '60',
    SWEEP_INTERVAL: '100',
    REPUBLISH_AFTER: '300',
    DATA_DIR: folder,
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
  };
  const platform = await compose(readConfig(environment, 'serve'), createLogger({ level: 'silent', format: 'json' }));
  onTestFinished(() => platform.close());
  return {
    async call(path: string, body?: unknown): Promise<Answer> {
      const response = await fetch(`${platform.urls.api}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${platform.localKey}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    },
    async stats(): Promise<unknown> {
      return (await fetch(`${platform.urls.sandbox}/_sandbox/stats`)).json();
    },
  };
}
