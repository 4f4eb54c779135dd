import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose, type Platform } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/monitoring/log.ts';
import { startWebhookReceiver } from '../src/notifications/webhook-receiver.testing.ts';
import { until } from './support/api.ts';

// A whole server on one machine: from the end of a video to its webhooks, by the wall clock.

const videos = 40;

let folder: string;
let platform: Platform;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-told-'));
  const environment = {
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
    SANDBOX_SPEED: '60',
    KLING_CONCURRENCY: '10',
    DATA_DIR: folder,
  };
  platform = await compose(readConfig(environment, 'serve'), createLogger({ level: 'silent', format: 'json' }));
  receiver = await startWebhookReceiver();
});
afterAll(async () => {
  await platform.close();
  await receiver.close();
  await rm(folder, { recursive: true, force: true });
});

async function call(path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${platform.urls.api}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${platform.localKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

test('nineteen of twenty completed videos are told within a second, to every target, with a link that plays', async ({
  annotate,
}) => {
  const arrivedMs = new Map<string, number>();
  receiver.answer = (response) => {
    const id = receiver.received.at(-1)?.headers['webhook-id'];
    if (typeof id === 'string' && !arrivedMs.has(id)) arrivedMs.set(id, Date.now());
    response.writeHead(204).end();
  };
  const { secret } = await call('/api/webhooks', { url: receiver.url });
  for (let index = 0; index < videos; index++) {
    await call('/api/videos', { prompt: `fox ${index}`, webhook_url: receiver.url });
  }
  await until(() => arrivedMs.size === 2 * videos, 'every webhook');
  const waits: number[] = [];
  for (const { headers, body } of receiver.received) {
    const told = JSON.parse(body) as { type: string; timestamp: string };
    expect(told.type).toBe('video.completed');
    waits.push((arrivedMs.get(String(headers['webhook-id'])) ?? Infinity) - Date.parse(told.timestamp));
  }
  waits.sort((left, right) => left - right);
  const [p50, p95] = [0.5, 0.95].map((share) => waits[Math.ceil(waits.length * share) - 1] ?? Infinity);
  await annotate(`completed -> webhook: p50 ${p50} ms, p95 ${p95} ms, worst ${waits.at(-1)} ms of ${waits.length}`);
  // The target is 1 s; three times that is a fault even where everything else runs beside it.
  expect(p95).toBeLessThan(3_000);

  const verifier = new Webhook(String(secret));
  const signed = receiver.received.filter(({ body, headers }) => {
    try {
      return verifier.verify(body, headers as Record<string, string>) !== undefined;
    } catch {
      return false;
    }
  });
  expect(signed).toHaveLength(videos);
  const { data } = JSON.parse(signed[0]!.body) as { data: { video_url: string; file: { bytes: number } } };
  const file = await fetch(data.video_url);
  expect((await file.arrayBuffer()).byteLength).toBe(data.file.bytes);
});
