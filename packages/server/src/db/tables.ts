import type { ColumnType, Generated, GeneratedAlways } from 'kysely';

/** Exact decimals travel as strings; see kernel/money.ts. */
type Numeric = ColumnType<string, string, string>;
type NullableNumeric = ColumnType<string | null, string | null | undefined, string | null>;
/** Read as text; written as a number or text. */
type BigInteger = ColumnType<string, number | string, number | string>;
type Time = ColumnType<Date, Date | string, Date | string>;
type NullableTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
/** Read parsed; written as JSON text, because a driver would turn an array into a PostgreSQL array. */
type Json<Read> = ColumnType<Read, string, string>;
type NullableJson<Read> = ColumnType<Read | null, string | null | undefined, string | null>;
type WithDefault<Column> =
  Column extends ColumnType<infer Read, infer Write, infer Update>
    ? ColumnType<Read, Write | undefined, Update>
    : ColumnType<Column, Column | undefined, Column>;

export type VideoState = 'queued' | 'submitting' | 'generating' | 'archiving' | 'completed' | 'failed' | 'canceled';
export type AttemptState = 'intended' | 'sent' | 'doubtful' | 'accepted' | 'ended' | 'refused' | 'abandoned';
export type FileState = 'pending' | 'stored' | 'lost' | 'deleted';
export type Provider = 'kling' | 'sandbox';

/** Why a video ended without a file, as it is answered. */
export interface StoredVideoError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly provider_code: number | null;
  readonly provider_request_id: string | null;
}

interface ClockTable {
  one: Generated<boolean>;
  offset_ms: BigInteger;
  /** Added to transaction ids of this cluster where they order events. */
  xid_offset: Generated<string>;
}

interface InstallationSecretsTable {
  name: string;
  value: string;
  created_at: WithDefault<Time>;
}

interface WorkspacesTable {
  id: string;
  name: string;
  created_at: WithDefault<Time>;
}

interface ApiKeysTable {
  id: string;
  workspace_id: string;
  name: string;
  /** Hex SHA-256 of the key. */
  hash: string;
  created_at: WithDefault<Time>;
  revoked_at: NullableTime;
}

interface BudgetsTable {
  scope: string;
  provider: Provider;
  period: 'total';
  period_start: Time;
  limit_credits: NullableNumeric;
  held_credits: WithDefault<Numeric>;
  captured_credits: WithDefault<Numeric>;
}

interface AccountsTable {
  id: string;
  provider: Provider;
  host: string;
  generations: ('legacy' | 'standard')[];
  credentials_fingerprint: string;
  paused_at: NullableTime;
  pause_reason: string | null;
  pause_detail: string | null;
  trial_at: NullableTime;
  not_before: NullableTime;
  limited_count: Generated<number>;
  skew_ms: Generated<number>;
  audited_at: NullableTime;
  seen_at: WithDefault<Time>;
}

interface FamiliesTable {
  id: string;
  provider: Provider;
  model: string;
  pack_type: string;
  needs: 'legacy' | 'standard' | null;
  vtime: Generated<number>;
}

interface PoolsTable {
  id: string;
  account_id: string;
  /** '*' where the account counts per pack only. */
  model: string;
  pack_type: string;
  capacity: number;
  effective: number;
  in_use: Generated<number>;
  paused_at: NullableTime;
  pause_reason: string | null;
  pause_detail: string | null;
  trial_at: NullableTime;
  not_before: NullableTime;
  limited_count: Generated<number>;
  grow_at: NullableTime;
}

interface FlowsTable {
  family_id: string;
  workspace_id: string;
  weight: Generated<number>;
  vfinish: Generated<number>;
  in_flight: Generated<number>;
  cap: number | null;
  queued: Generated<number>;
  queued_slot_ms: WithDefault<BigInteger>;
  eligible: GeneratedAlways<boolean>;
}

interface VideosTable {
  id: string;
  workspace_id: string;
  product: string;
  provider: Provider;
  state: VideoState;
  model: string;
  request: Json<unknown>;
  warnings: WithDefault<Json<{ code: string; message: string }[]>>;
  metadata: WithDefault<Json<Record<string, string>>>;
  priority: Generated<number>;
  webhook_url: string | null;
  start_before: NullableTime;
  family_id: string;
  expected_ms: number;
  estimated_credits: Numeric;
  price_basis: string;
  charged_credits: NullableNumeric;
  /** Held and undecided; zero once captured or released. */
  hold_credits: WithDefault<Numeric>;
  budget_period_start: Time;
  attempt_number: Generated<number>;
  event_seq: Generated<number>;
  error: NullableJson<StoredVideoError>;
  retry_of: string | null;
  fairness_cost: Generated<number>;
  accepted_at: Time;
  started_at: NullableTime;
  completed_at: NullableTime;
  deleted_at: NullableTime;
}

interface AttemptsTable {
  id: string;
  video_id: string;
  number: number;
  external_task_id: string;
  state: AttemptState;
  holds_slot: GeneratedAlways<boolean>;
  account_id: string;
  pool_id: string;
  family_id: string;
  workspace_id: string;
  host: string;
  generation: 'legacy' | 'standard';
  path: string;
  body: Json<Record<string, unknown>>;
  lease_token: Generated<number>;
  lease_until: NullableTime;
  sent_count: Generated<number>;
  sent_at: NullableTime;
  /** POSTs that certainly created nothing; below `sent_count`, one is in flight or in doubt and is looked up first. */
  refused_count: Generated<number>;
  /** Kling said "already exists": never sent again. */
  known_to_exist: Generated<boolean>;
  /** Looked up before its first POST too: set after an unclean start of an embedded server. */
  look_first: Generated<boolean>;
  task_id: string | null;
  provider_status: string | null;
  provider_request_id: string | null;
  expected_ms: number;
  fairness_cost: Generated<number>;
  due_at: NullableTime;
  look_at: NullableTime;
  looks: Generated<number>;
  look_token: Generated<number>;
  look_lease_until: NullableTime;
  hinted_at: NullableTime;
  failure: NullableJson<{ code: number | null; httpStatus: number | null; message: string; requestId: string | null }>;
  deducted_credits: NullableNumeric;
  created_at: Time;
  accepted_at: NullableTime;
  ended_at: NullableTime;
  published_at: NullableTime;
  publishes: Generated<number>;
}

interface FilesTable {
  id: string;
  video_id: string;
  attempt_id: string;
  workspace_id: string;
  state: FileState;
  /** Provider URL: never leaves the platform. */
  source_url: string | null;
  source_expires_at: NullableTime;
  storage_key: string;
  bytes: ColumnType<string | null, number | string | null | undefined, number | string | null>;
  seconds: number | null;
  width: number | null;
  height: number | null;
  has_audio: boolean | null;
  sha256: string | null;
  etag: string | null;
  poster_key: string | null;
  tries: Generated<number>;
  last_error: string | null;
  lease_token: Generated<number>;
  lease_until: NullableTime;
  due_at: NullableTime;
  created_at: Time;
  stored_at: NullableTime;
  published_at: NullableTime;
  publishes: Generated<number>;
}

interface EventsTable {
  id: GeneratedAlways<string>;
  xid: ColumnType<string, undefined, never>;
  workspace_id: string;
  video_id: string;
  /** Per video, from 1, without gaps. */
  seq: number;
  type: string;
  data: Json<Record<string, unknown>>;
  created_at: Time;
}

interface LedgerEntriesTable {
  id: GeneratedAlways<string>;
  transaction_id: string;
  workspace_id: string;
  video_id: string;
  attempt_number: number | null;
  kind: 'hold' | 'capture' | 'release';
  account: 'available' | 'held' | 'captured';
  amount: Numeric;
  reason: string;
  assumed: Generated<boolean>;
  created_at: Time;
}

interface IdempotencyKeysTable {
  workspace_id: string;
  key: string;
  fingerprint: string;
  video_id: string;
  /** The first answer's body, replayed as it was. */
  answer: Json<unknown>;
  created_at: Time;
}

interface ObservedDurationsTable {
  key: string;
  samples_ms: number[];
}

interface DeadLettersTable {
  kind: string;
  id: string;
  crashes: Generated<number>;
  reason: string | null;
  dead_at: NullableTime;
  updated_at: Time;
}

/** Where a workspace wants to hear of its videos. */
interface WebhookEndpointsTable {
  id: string;
  workspace_id: string;
  url: string;
  description: WithDefault<string>;
  event_types: string[];
  /** `whsec_…`. */
  secret: string;
  /** Signs too until then, so that receivers can change over. */
  previous_secret: string | null;
  previous_secret_until: NullableTime;
  created_at: WithDefault<Time>;
  /** The first failed try since the last success; null while it works. */
  failing_since: NullableTime;
  disabled_at: NullableTime;
  disabled_reason: string | null;
  deleted_at: NullableTime;
}

interface DeliveriesTable {
  id: string;
  /** Null for a test event. */
  video_id: string | null;
  workspace_id: string;
  /** Null for a test event, whose payload is then here. */
  event_id: ColumnType<string | null, string | null | undefined, never>;
  payload: NullableJson<Record<string, unknown>>;
  channel: WithDefault<'webhook' | 'redis'>;
  /** Null for the address of a video, and in Redis. */
  endpoint_id: string | null;
  /** Null in Redis. */
  url: string | null;
  state: 'pending' | 'delivered' | 'failed';
  tries: Generated<number>;
  last_status: number | null;
  last_error: string | null;
  due_at: NullableTime;
  lease_token: Generated<number>;
  lease_until: NullableTime;
  created_at: Time;
  delivered_at: NullableTime;
  published_at: NullableTime;
  publishes: Generated<number>;
}

interface DeliveryTriesTable {
  id: GeneratedAlways<string>;
  delivery_id: string;
  started_at: Time;
  duration_ms: number;
  status: number | null;
  error: string | null;
}

export interface Tables {
  clock: ClockTable;
  installation_secrets: InstallationSecretsTable;
  workspaces: WorkspacesTable;
  api_keys: ApiKeysTable;
  budgets: BudgetsTable;
  accounts: AccountsTable;
  families: FamiliesTable;
  pools: PoolsTable;
  flows: FlowsTable;
  videos: VideosTable;
  attempts: AttemptsTable;
  files: FilesTable;
  events: EventsTable;
  ledger_entries: LedgerEntriesTable;
  idempotency_keys: IdempotencyKeysTable;
  observed_durations: ObservedDurationsTable;
  dead_letters: DeadLettersTable;
  webhook_endpoints: WebhookEndpointsTable;
  deliveries: DeliveriesTable;
  delivery_tries: DeliveryTriesTable;
}
