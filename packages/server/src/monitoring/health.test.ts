import { expect, test } from 'vitest';
import { createHealth, readyHttpStatus } from './health.ts';

test('a process is ready when every check passes', async () => {
  const health = createHealth();
  health.addCheck('database', async () => 'fine');
  health.addCheck('storage', async () => {});
  expect(await health.ready()).toEqual({
    status: 'ready',
    checks: {
      database: { ok: true, required: true, ms: expect.any(Number) },
      storage: { ok: true, required: true, ms: expect.any(Number) },
    },
  });
  expect(health.live()).toEqual({ status: 'ok', uptime_seconds: 0 });
});

test('a check that fails or hangs is named, and its cause stays inside', async () => {
  const failures: string[] = [];
  const health = createHealth({
    timeoutMs: 20,
    onFailure: (name, error) => void failures.push(`${name}: ${error.message}`),
  });
  health.addCheck('database', async () => {
    throw new Error('password authentication failed');
  });
  health.addCheck('storage', () => new Promise(() => {}));
  health.addCheck('queue', async () => {});
  const report = await health.ready();
  expect(report).toMatchObject({
    status: 'not_ready',
    checks: {
      database: { ok: false, reason: 'failed' },
      storage: { ok: false, reason: 'no answer within 20 ms' },
      queue: { ok: true },
    },
  });
  expect(JSON.stringify(report)).not.toContain('password');
  expect(failures.toSorted()[0]).toBe('database: password authentication failed');
});

test('callers at the same time share one run', async () => {
  const health = createHealth();
  let runs = 0;
  health.addCheck('database', async () => void runs++);
  await Promise.all([health.ready(), health.ready(), health.ready()]);
  expect(runs).toBe(1);
  await health.ready();
  expect(runs).toBe(2);
});

test('a stopping process is not ready, but alive', async () => {
  const health = createHealth();
  health.setStopping();
  expect((await health.ready()).status).toBe('stopping');
  expect(health.live().status).toBe('ok');
});

test('what is not required makes a process degraded, which still gets work', async () => {
  const health = createHealth();
  health.addCheck('database', async () => {});
  health.addCheck('queue', () => Promise.reject(new Error('redis://secret')), { required: false });
  const report = await health.ready();
  expect(report).toMatchObject({
    status: 'degraded',
    checks: { database: { ok: true }, queue: { ok: false, required: false } },
  });
  expect(readyHttpStatus(report)).toBe(200);
  health.addCheck('storage', () => Promise.reject(new Error('gone')));
  expect(readyHttpStatus(await health.ready())).toBe(503);
});

test('nobody waits long for what is not required, and it is not asked at every look', async () => {
  const health = createHealth({ timeoutMs: 60_000 });
  let asked = 0;
  health.addCheck('storage', () => (asked++, new Promise(() => {})), { required: false });
  const begun = performance.now();
  expect(await health.ready()).toMatchObject({ status: 'degraded', checks: { storage: { reason: 'no answer yet' } } });
  await health.ready();
  expect(performance.now() - begun).toBeLessThan(10_000);
  health.addCheck('queue', async () => void asked++, { required: false });
  await health.ready();
  await health.ready();
  expect(asked).toBe(2);
});
