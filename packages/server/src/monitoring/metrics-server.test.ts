import { afterEach, expect, test } from 'vitest';
import { createHealth } from './health.ts';
import { createMetrics } from './metrics.ts';
import { startMetricsServer, type MetricsServer, type MetricsServerOptions } from './metrics-server.ts';

const started: MetricsServer[] = [];
const host = '127.0.0.1';

async function start(options: Partial<MetricsServerOptions> = {}) {
  const health = createHealth();
  const server = await startMetricsServer(
    { metrics: createMetrics(), health },
    { host, port: 0, mayGiveWay: false, ...options },
  );
  started.push(server);
  const get = (path: string, init: RequestInit = {}) => fetch(`http://${host}:${server.port}${path}`, init);
  return { server, health, get };
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

test('it answers metrics and health, and nothing else', async () => {
  const { get, health } = await start();
  const answer = await get('/metrics');
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(await answer.text()).toContain('# TYPE dailies_queue_depth gauge');
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  expect((await get('/')).status).toBe(404);
  expect((await get('/metrics', { method: 'POST' })).status).toBe(404);
  health.addCheck('database', async () => {
    throw new Error('away');
  });
  expect((await get('/readyz')).status).toBe(503);
  expect((await get('/healthz')).status).toBe(200);
});

test('the usual port gives way when it is taken; one that was asked for does not', async () => {
  const { server } = await start();
  const { server: second } = await start({ port: server.port, mayGiveWay: true });
  expect(second.port).not.toBe(server.port);
  await expect(start({ port: server.port, mayGiveWay: false })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
