/** Every metric of ours, as data: made into instruments by metrics.ts and into the table of docs/monitoring.md. */

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, of histograms. */
  readonly buckets?: readonly number[];
  /** `platform`: read from the database at scrape, so every process says the same: take the maximum, never the sum. */
  readonly scope: 'process' | 'platform';
}

type Row<Type extends MetricRow['type']> = MetricRow & { readonly type: Type };

const quick = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const calls = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
const copies = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
const states = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400, 604_800];

function counter(help: string, ...labels: readonly string[]): Row<'counter'> {
  return { type: 'counter', help, labels, scope: 'process' };
}

function histogram(buckets: readonly number[], help: string, ...labels: readonly string[]): Row<'histogram'> {
  return { type: 'histogram', help, labels, buckets, scope: 'process' };
}

function gauge(help: string, ...labels: readonly string[]): Row<'gauge'> {
  return { type: 'gauge', help, labels, scope: 'process' };
}

function figure(help: string, ...labels: readonly string[]): Row<'gauge'> {
  return { type: 'gauge', help, labels, scope: 'platform' };
}

export const metricList = {
  dailies_build_info: gauge('Always 1; the version and the role of the process.', 'version', 'role', 'provider'),
  dailies_figures_up: gauge('1 while the platform figures can be read from the database, else 0.'),
  dailies_queue_up: gauge('1 while the queue engine answers this process, else 0.'),

  dailies_http_requests_total: counter('Answered requests of the API.', 'method', 'route', 'status'),
  dailies_http_request_seconds: histogram(
    quick,
    'Time from a request to its whole answer; no event streams.',
    'method',
    'route',
  ),
  dailies_http_streams_open: gauge('Event streams that are open now.'),
  dailies_creates_total: counter(
    'Creates by what was answered: accepted, replayed, or the code of the error.',
    'outcome',
  ),
  dailies_state_seconds: histogram(states, 'Time that a video spent in a state, when it left it.', 'state', 'next'),
  dailies_videos_ended_total: counter('Videos that reached a final state.', 'state'),
  dailies_dispatch_seconds: histogram(
    quick,
    'From the moment that joined a free slot and a video to the send mark of its first create.',
  ),
  dailies_tasks_ended_total: counter('Tasks that Kling ended, by whether it was asked to call back.', 'callback'),
  dailies_kling_calls_total: counter(
    'Exchanges with Kling; `code` is its own, or `none` without a readable answer.',
    'endpoint',
    'status',
    'code',
  ),
  dailies_kling_call_seconds: histogram(calls, 'Time of an exchange with Kling.', 'endpoint'),
  dailies_callbacks_total: counter(
    'Callbacks: hint (brought a look forward), late (nothing to bring forward), intermediate, forged or unreadable.',
    'outcome',
  ),
  dailies_archive_copies_total: counter('Copies of paid files: stored, interrupted, or why not.', 'outcome'),
  dailies_archive_bytes_total: counter('Bytes of files that were stored.'),
  dailies_archive_seconds: histogram(copies, 'Time of a copy that was stored, verified.'),
  dailies_deliveries_total: counter(
    'Tries to tell users, by channel: delivered, failed or refused.',
    'channel',
    'outcome',
  ),
  dailies_delivery_seconds: histogram(calls, 'Time of a try to tell a user.', 'channel'),
  dailies_messages_published_total: counter('Messages handed to the queue engine.', 'kind'),
  dailies_messages_handled_total: counter('Messages handled, by result: done, retry, fail or crash.', 'kind', 'result'),
  dailies_message_seconds: histogram(copies, 'Time that a message was in hand.', 'kind'),
  dailies_engine_messages: gauge(
    'Messages in the queue engine that are not acknowledged; Pub/Sub tells those in hand here.',
    'kind',
  ),
  dailies_database_connections: gauge(
    'Connections of the pool: used, idle, or callers waiting for one. PostgreSQL only.',
    'state',
  ),

  dailies_videos: figure('Videos that are under way. Canceled ones still run at Kling or are being copied.', 'state'),
  dailies_queue_depth: figure('Videos in queued plus unhandled messages.'),
  dailies_due_messages: figure('Unhandled work by kind: rows that are due now.', 'kind'),
  dailies_oldest_waiting_seconds: figure('Age of the oldest video in queued; 0 when none waits.'),
  dailies_tasks_in_flight: figure('Tasks that hold a slot.'),
  dailies_workers_wanted: figure(
    'Workers for the work there is: min(depth + in flight, slots) / TASKS_PER_WORKER, rounded up.',
  ),
  dailies_slots_capacity: figure('Slots of a pool.', 'account', 'model', 'pack'),
  dailies_slots_effective: figure('Slots of a pool less those that others use.', 'account', 'model', 'pack'),
  dailies_slots_in_use: figure('Slots of a pool that are taken.', 'account', 'model', 'pack'),
  dailies_slots_utilisation_ratio: figure(
    'Taken slots of a pool as a part of the effective ones.',
    'account',
    'model',
    'pack',
  ),
  dailies_slots_idle_while_waiting: figure(
    'Free slots of a pool that may be used now, while videos wait that it could serve.',
    'account',
    'model',
    'pack',
  ),
  dailies_pool_paused: figure('1 while a pool is paused.', 'account', 'model', 'pack'),
  dailies_account_paused: figure('1 while an account is paused.', 'account'),
  dailies_archive_pending: figure('Paid files that are not stored yet.'),
  dailies_archive_failing: figure('Those of them whose copy has failed three times or more.'),
  dailies_archive_deadline_seconds: figure(
    'Until the first paid file is deleted by Kling; absent when all are stored.',
  ),
  dailies_budget_credits: figure(
    'Credits of all workspaces: held, captured, and the limits where there are any.',
    'provider',
    'amount',
  ),
  dailies_budget_used_ratio: figure(
    'Held and captured as a part of the limit, of the 20 fullest workspaces.',
    'provider',
    'workspace',
  ),
  dailies_ledger_sum_credits: figure('Sum of all ledger entries; must be 0. Read every 5 minutes, by workers.'),
  dailies_ledger_drift_credits: figure(
    'What budgets say less what the ledger says; must be 0. Read every 5 minutes, by workers.',
    'amount',
  ),
  dailies_dead_letters: figure('Dead letters by kind.', 'kind'),
  dailies_deliveries_pending: figure('Deliveries that have not arrived and are not given up.'),
  dailies_delivery_overdue_seconds: figure('How long the first delivery that is due has been due; 0 when none is.'),
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof metricList;
