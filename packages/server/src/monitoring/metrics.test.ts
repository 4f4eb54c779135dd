import { expect, test, vi } from 'vitest';
import { createMetrics, type Sample } from './metrics.ts';

async function linesOf(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  const { body } = await metrics.text();
  return body.split('\n').filter((line) => line.startsWith(name));
}

test('what happens is counted by its labels', async () => {
  const metrics = createMetrics();
  metrics.count('dailies_creates_total', { outcome: 'accepted' });
  metrics.count('dailies_creates_total', { outcome: 'accepted' });
  metrics.count('dailies_archive_bytes_total', {}, 1_500);
  metrics.observe('dailies_dispatch_seconds', 0.003);
  expect(await linesOf(metrics, 'dailies_creates_total')).toEqual(['dailies_creates_total{outcome="accepted"} 2']);
  expect(await linesOf(metrics, 'dailies_archive_bytes_total')).toEqual(['dailies_archive_bytes_total 1500']);
  expect(await linesOf(metrics, 'dailies_dispatch_seconds_bucket{le="0.005"}')).toEqual([
    'dailies_dispatch_seconds_bucket{le="0.005"} 1',
  ]);
});

test('figures that cannot be read are absent, never old, and come back', async () => {
  const errors: string[] = [];
  const metrics = createMetrics({ onError: (error, what) => void errors.push(`${what}: ${error.message}`) });
  let works = true;
  const read = async (): Promise<Sample[]> => {
    if (!works) throw new Error('no database');
    return [
      { name: 'dailies_queue_depth', value: 7 },
      { name: 'dailies_videos', labels: { state: 'queued' }, value: 7 },
    ];
  };
  metrics.addFigures('the platform', read, { freshMs: 0, up: 'dailies_figures_up' });
  const seen = async () => ({
    depth: await linesOf(metrics, 'dailies_queue_depth'),
    videos: await linesOf(metrics, 'dailies_videos{'),
    up: await linesOf(metrics, 'dailies_figures_up'),
  });
  const there = {
    depth: ['dailies_queue_depth 7'],
    videos: ['dailies_videos{state="queued"} 7'],
    up: ['dailies_figures_up 1'],
  };
  expect(await seen()).toEqual(there);
  works = false;
  expect(await seen()).toEqual({ depth: [], videos: [], up: ['dailies_figures_up 0'] });
  expect(errors).toContain('the platform: no database');
  works = true;
  expect(await seen()).toEqual(there);
});

test('a read that hangs costs its own figures and nothing else', async () => {
  const metrics = createMetrics();
  metrics.addFigures('the engine', () => new Promise(() => {}), { timeoutMs: 20, up: 'dailies_queue_up' });
  metrics.addFigures('the platform', async () => [{ name: 'dailies_queue_depth', value: 1 }]);
  expect(await linesOf(metrics, 'dailies_queue_depth')).toEqual(['dailies_queue_depth 1']);
  expect(await linesOf(metrics, 'dailies_queue_up')).toEqual(['dailies_queue_up 0']);
});

test('a read that failed is tried again at the next look, however long its figures are good', async () => {
  const metrics = createMetrics();
  let works = false;
  const read = async (): Promise<Sample[]> => {
    if (!works) throw new Error('no database');
    return [{ name: 'dailies_ledger_sum_credits', value: 0 }];
  };
  metrics.addFigures('the ledger', read, { freshMs: 3_600_000 });
  expect(await linesOf(metrics, 'dailies_ledger_sum_credits')).toEqual([]);
  works = true;
  expect(await linesOf(metrics, 'dailies_ledger_sum_credits')).toEqual(['dailies_ledger_sum_credits 0']);
});

test('however many look at once, figures are read once, and not again while they are fresh', async () => {
  const metrics = createMetrics();
  const read = vi.fn(async (): Promise<Sample[]> => []);
  metrics.addFigures('the platform', read);
  await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
  await metrics.text();
  expect(read).toHaveBeenCalledTimes(1);
});

test('a label that turns out to be without end stops at 1,000 values', async () => {
  const metrics = createMetrics();
  for (let index = 0; index < 1_500; index++) metrics.count('dailies_creates_total', { outcome: `code_${index}` });
  metrics.count('dailies_creates_total', { outcome: 'code_1' });
  expect(await linesOf(metrics, 'dailies_creates_total')).toHaveLength(1_000);
  expect(await linesOf(metrics, 'dailies_creates_total{outcome="code_1"}')).toEqual([
    'dailies_creates_total{outcome="code_1"} 2',
  ]);
});
