/** What is watched where: figures of the platform, and every port of the parts list with a counter around it. */
import type { AnsweredRequest } from './api/request-log.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { AppError } from './kernel/errors.ts';
import type { KlingCall } from './kling/calls.ts';
import type { Metrics, Sample } from './monitoring/metrics.ts';
import type { Notifier } from './notifications/notifier.ts';
import type { Queue } from './queue/queue.ts';
import type { CopiedVideo } from './storage/copy-video.ts';
import { DownloadError } from './storage/download-error.ts';
import { StorageError } from './storage/storage-error.ts';
import { version } from './version.ts';
import { readFigures, readLedgerFigures, type Figures } from './videos/figures.ts';
import type { VideosObserver } from './videos/context.ts';
import type { Videos } from './videos/videos.ts';

const ledgerFreshMs = 5 * 60_000;
const engineTimeoutMs = 2_000;

/** Everything that is read when somebody looks. */
export function addPlatformFigures(
  metrics: Metrics,
  { config, database, queue }: { readonly config: Config; readonly database: Database; readonly queue: Queue },
): void {
  const { kysely, native } = database;
  const { provider, role } = config;
  metrics.set({ name: 'dailies_build_info', labels: { version, role, provider }, value: 1 });
  const read = async () => sampleFigures(await readFigures(database, provider), config.metrics.tasksPerWorker);
  metrics.addFigures('the platform', read, { up: 'dailies_figures_up' });
  metrics.addFigures(
    'the queue engine',
    async () =>
      Object.entries(await queue.depth()).map(([kind, value]) => ({
        name: 'dailies_engine_messages',
        labels: { kind },
        value,
      })),
    { up: 'dailies_queue_up', timeoutMs: engineTimeoutMs },
  );
  if ('pool' in native) {
    const { pool } = native;
    metrics.addFigures(
      'the connections',
      async () => {
        const idle = pool.idleCount;
        const counts = { used: pool.totalCount - idle, idle, waiting: pool.waitingCount };
        return Object.entries(counts).map(([state, value]) => ({
          name: 'dailies_database_connections',
          labels: { state },
          value,
        }));
      },
      { freshMs: 0 },
    );
  }
  // It reads a whole table, so the processes that do the work answer for it.
  if (role === 'serve' || role === 'worker') {
    metrics.addFigures(
      'the ledger',
      async () => {
        const { sum, heldDrift, capturedDrift } = await readLedgerFigures(kysely);
        return [
          { name: 'dailies_ledger_sum_credits', value: sum },
          { name: 'dailies_ledger_drift_credits', labels: { amount: 'held' }, value: heldDrift },
          { name: 'dailies_ledger_drift_credits', labels: { amount: 'captured' }, value: capturedDrift },
        ];
      },
      { freshMs: ledgerFreshMs },
    );
  }
}

/** How many workers the work there is wants (docs/monitoring.md). */
function workersWanted(
  work: { readonly depth: number; readonly inFlight: number; readonly slots: number },
  tasksPerWorker: number,
): number {
  return Math.ceil(Math.min(work.depth + work.inFlight, work.slots) / tasksPerWorker);
}

/** The figures as the gauges that show them. */
export function sampleFigures(figures: Figures, tasksPerWorker: number): Sample[] {
  const { queued, underWay, due, pools, files, deliveries } = figures;
  const depth = queued + Object.values(due).reduce((sum, count) => sum + count, 0);
  const inFlight = pools.reduce((sum, pool) => sum + pool.inUse, 0);
  const slots = pools.reduce((sum, pool) => sum + pool.effective, 0);
  const states = { queued, submitting: 0, generating: 0, archiving: 0, canceled: 0, ...underWay };
  return [
    ...labelled('dailies_videos', 'state', states),
    ...labelled('dailies_due_messages', 'kind', due),
    ...labelled('dailies_dead_letters', 'kind', { submit: 0, archive: 0, notify: 0, ...figures.deadLetters }),
    { name: 'dailies_queue_depth', value: depth },
    { name: 'dailies_oldest_waiting_seconds', value: figures.oldestWaitingSeconds },
    { name: 'dailies_tasks_in_flight', value: inFlight },
    { name: 'dailies_workers_wanted', value: workersWanted({ depth, inFlight, slots }, tasksPerWorker) },
    ...pools.flatMap(poolSamples),
    ...figures.accounts.map(({ id, paused }): Sample => ({
      name: 'dailies_account_paused',
      labels: { account: id },
      value: Number(paused),
    })),
    { name: 'dailies_archive_pending', value: files.pending },
    { name: 'dailies_archive_failing', value: files.failing },
    ...(files.deadlineSeconds === null
      ? []
      : [{ name: 'dailies_archive_deadline_seconds', value: files.deadlineSeconds } as const]),
    ...figures.budgets.flatMap(({ provider, held, captured, limit }) =>
      Object.entries({ held, captured, ...(limit === null ? {} : { limit }) }).map(([amount, value]): Sample => ({
        name: 'dailies_budget_credits',
        labels: { provider, amount },
        value,
      })),
    ),
    ...figures.fullest.map(({ provider, workspace, used }): Sample => ({
      name: 'dailies_budget_used_ratio',
      labels: { provider, workspace },
      value: used,
    })),
    { name: 'dailies_deliveries_pending', value: deliveries.pending },
    { name: 'dailies_delivery_overdue_seconds', value: deliveries.overdueSeconds },
  ];
}

function labelled(name: Sample['name'], label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([key, value]) => ({ name, labels: { [label]: key }, value }));
}

function poolSamples({
  account,
  model,
  pack,
  capacity,
  effective,
  inUse,
  idle,
  paused,
}: Figures['pools'][number]): Sample[] {
  const labels = { account, model, pack };
  return [
    { name: 'dailies_slots_capacity', labels, value: capacity },
    { name: 'dailies_slots_effective', labels, value: effective },
    { name: 'dailies_slots_in_use', labels, value: inUse },
    { name: 'dailies_slots_utilisation_ratio', labels, value: inUse / effective },
    { name: 'dailies_slots_idle_while_waiting', labels, value: idle },
    { name: 'dailies_pool_paused', labels, value: Number(paused) },
  ];
}

/** What happens to videos, counted where it happens. */
export function observeVideos(metrics: Metrics): VideosObserver {
  return {
    moved({ from, to, seconds, isFinal }) {
      if (from !== null) metrics.observe('dailies_state_seconds', seconds, { state: from, next: to });
      if (isFinal) metrics.count('dailies_videos_ended_total', { state: to });
    },
    sent: (seconds) => metrics.observe('dailies_dispatch_seconds', seconds),
    ended: (wasCallbackAsked) =>
      metrics.count('dailies_tasks_ended_total', { callback: wasCallbackAsked ? 'asked' : 'none' }),
  };
}

/** Counts creates, retries included, by what they answer. */
export function countCreates(videos: Videos, metrics: Metrics): Videos {
  async function counted(creating: ReturnType<Videos['create']>): ReturnType<Videos['create']> {
    try {
      const created = await creating;
      metrics.count('dailies_creates_total', { outcome: created.replayed ? 'replayed' : 'accepted' });
      return created;
    } catch (error) {
      const outcome = error instanceof AppError ? error.code : 'failed';
      metrics.count('dailies_creates_total', { outcome });
      throw error;
    }
  }
  return {
    ...videos,
    create: (body, options) => counted(videos.create(body, options)),
    retry: (id, options) => counted(videos.retry(id, options)),
  };
}

/** Counts what goes through the engine. */
export function countMessages(queue: Queue, metrics: Metrics): Queue {
  return {
    limits: queue.limits,
    depth: () => queue.depth(),
    close: () => queue.close(),
    async publish(messages, transaction) {
      await queue.publish(messages, transaction);
      for (const { kind } of messages) metrics.count('dailies_messages_published_total', { kind });
    },
    consume: (kind, handler, options) =>
      queue.consume(
        kind,
        async (message, signal) => {
          const startedMs = performance.now();
          try {
            return await handler(message, signal);
          } finally {
            metrics.observe('dailies_message_seconds', (performance.now() - startedMs) / 1_000, { kind });
          }
        },
        {
          ...options,
          async settled(message, outcome) {
            await options.settled(message, outcome);
            metrics.count('dailies_messages_handled_total', { kind, result: outcome.result });
          },
        },
      ),
  };
}

/** Counts the bytes, the time and the failures of copies. */
export async function countCopy(
  copying: Promise<CopiedVideo>,
  metrics: Metrics,
  signal: AbortSignal,
): Promise<CopiedVideo> {
  const startedMs = performance.now();
  try {
    const copied = await copying;
    metrics.count('dailies_archive_copies_total', { outcome: 'stored' });
    metrics.count('dailies_archive_bytes_total', {}, copied.bytes);
    metrics.observe('dailies_archive_seconds', (performance.now() - startedMs) / 1_000);
    return copied;
  } catch (error) {
    metrics.count('dailies_archive_copies_total', { outcome: signal.aborted ? 'interrupted' : copyFailure(error) });
    throw error;
  }
}

function copyFailure(error: unknown): string {
  if (error instanceof DownloadError) return `download_${error.reason}`;
  return error instanceof StorageError ? `storage_${error.reason}` : 'not_usable';
}

export function countDeliveries(notifier: Notifier, channel: 'webhook' | 'redis', metrics: Metrics): Notifier {
  return {
    async send(notification, signal) {
      const startedMs = performance.now();
      const sent = await notifier.send(notification, signal);
      metrics.count('dailies_deliveries_total', { channel, outcome: sent.outcome });
      metrics.observe('dailies_delivery_seconds', (performance.now() - startedMs) / 1_000, { channel });
      return sent;
    },
  };
}

export function countKlingCall(metrics: Metrics, { method, path, httpStatus, code, ms }: KlingCall): void {
  const endpoint = `${method} ${path.replaceAll(/\/(?:\d{6,}|[a-z]+_[\w-]+)(?=\/|$)/g, '/:id')}`;
  metrics.count('dailies_kling_calls_total', { endpoint, status: httpStatus ?? 'none', code: code ?? 'none' });
  metrics.observe('dailies_kling_call_seconds', ms / 1_000, { endpoint });
}

/** Streams count as answers, but the time for which one stays open says nothing. */
export function countAnswer(metrics: Metrics, { method, route, status, seconds, isStream }: AnsweredRequest): void {
  metrics.count('dailies_http_requests_total', { method, route: route ?? 'none', status });
  if (!isStream) metrics.observe('dailies_http_request_seconds', seconds, { method, route: route ?? 'none' });
}
