import { z } from 'zod';
import {
  accountId,
  baseUrl,
  budget,
  databaseUrl,
  decimal,
  milliseconds,
  model,
  pemText,
  port,
  prefix,
  redisUrls,
  secret,
  secrets,
  text,
  textOrUnset,
  url,
  whole,
  wholeOrUnset,
  word,
  wordOrUnset,
} from './config-values.ts';
import { logLevels } from './monitoring/log.ts';

const hour = 3_600_000;

/** Every variable, by name. Values are text; an empty one counts as unset. */
export const variables = {
  HOST: text('server', '127.0.0.1', 'address', 'Address to listen on; 0.0.0.0 for every network.'),
  PORT: port('server', 8000, 'Port of the API; 0 takes a free one.'),
  CALLBACKS_PORT: port('server', 8001, 'Port of the receiver of Kling’s callbacks; 0 takes a free one.'),
  PUBLIC_URL: url('server', 'Address under which users reach the API, for links; otherwise made of HOST and PORT.'),
  DATA_DIR: text('server', './.dailies', 'folder', 'The embedded database, the files and the local API key.'),
  BODY_LIMIT: whole('server', 1_048_576, [1_024, 104_857_600], 'bytes', 'Largest request body.'),
  LINK_SECONDS: whole('server', 3_600, [10, 604_800], 's', 'How long a link to a video works.'),
  LOG_LEVEL: word('server', logLevels, 'info', 'Least severe log lines to write.'),
  METRICS_PORT: port(
    'server',
    9464,
    'Port of the Prometheus metrics of this process; 0 takes a free one. The usual one gives way to a free one when it is taken.',
  ),
  TASKS_PER_WORKER: whole(
    'server',
    3,
    [1, 10_000],
    'tasks',
    'Tasks in flight that one worker process is counted for in `dailies_workers_wanted`.',
  ),

  KLING_PROVIDER: wordOrUnset(
    'kling',
    ['kling', 'sandbox'],
    'Who makes the videos. Unset: Kling when its credentials are set; the sandbox while nothing real is configured.',
  ),
  KLING_API_KEY: secret('kling', 'API key of the Kling console; reaches both API generations.'),
  KLING_ACCESS_KEY: secret('kling', 'Access key of the older kind of credentials; needs KLING_SECRET_KEY.'),
  KLING_SECRET_KEY: secret('kling', 'Secret key that belongs to KLING_ACCESS_KEY.'),
  KLING_BASE_URL: baseUrl('kling', 'Where Kling is reached. Credentials of one platform do not work on the other.'),
  KLING_ACCOUNT_ID: accountId(
    'kling',
    'Your name for the account whose credentials these are. It is stored with every video.',
  ),
  KLING_GENERATION: word(
    'kling',
    ['auto', 'legacy', 'standard'],
    'auto',
    'API generation to use; `auto` chooses by request and credentials.',
  ),
  KLING_CALLBACK_URL: url('kling', 'Public address of the callback receiver. Unset: videos are found by polling only.'),
  WEBHOOK_URL: url('kling', 'Alias of KLING_CALLBACK_URL.'),
  KLING_WEBHOOK_SECRET: secrets(
    'kling',
    'Secret of signed callbacks (`whsec_…`); old and new, with a comma, while you change it.',
  ),
  KLING_TIER: wordOrUnset(
    'kling',
    ['free', 'standard', 'pro', 'enterprise'],
    'Tasks at once in each pool by plan: 1, 3, 5, 10. Unset: read from the name of the resource pack, else 1.',
  ),
  KLING_CONCURRENCY: wholeOrUnset('kling', [1, 1_000], 'tasks', 'Tasks at once in each pool; wins over KLING_TIER.'),
  POOL_SCOPE: word(
    'kling',
    ['model', 'pack'],
    'model',
    'Whether Kling counts tasks at once per model or per pack only.',
  ),
  KLING_AFTER_DOUBT: word(
    'kling',
    ['resend', 'hold'],
    'resend',
    'When a create got no answer and Kling then knows no such task: send it again, or wait for a person.',
  ),

  SANDBOX_PORT: port('sandbox', 8002, 'Port of the built-in sandbox; 0 takes a free one.'),
  SANDBOX_SPEED: decimal(
    'sandbox',
    10,
    [0.1, 10_000],
    'times',
    'How much faster than Kling the sandbox is: the built-in one runs at it, and looks are timed by it.',
  ),
  SANDBOX_URL: url('sandbox', 'A sandbox that runs elsewhere, instead of the built-in one.'),

  DATABASE_URL: databaseUrl('database', 'PostgreSQL 13 or newer. Unset: the embedded database in DATA_DIR.'),
  DATABASE_CONNECTIONS: whole(
    'database',
    10,
    [2, 1_000],
    'connections',
    'Most connections of one process to PostgreSQL.',
  ),
  DATABASE_TLS: wordOrUnset(
    'database',
    ['off', 'require', 'verify'],
    'TLS to PostgreSQL: none, encrypted, or encrypted with the certificate checked. Unset: what `sslmode` in DATABASE_URL says, else none.',
  ),
  DATABASE_CA_FILE: textOrUnset(
    'database',
    'file',
    'Certificates (PEM) that the certificate of PostgreSQL must lead to.',
  ),

  QUEUE_ENGINE: wordOrUnset(
    'queue',
    ['postgres', 'redis', 'sqs', 'pubsub'],
    'What carries the messages. Unset: the one whose variable is set (SQS_QUEUE_PREFIX, PUBSUB_TOPIC_PREFIX, REDIS_URL), else the database.',
  ),
  REDIS_URL: redisUrls(
    'queue',
    'Redis 7 or newer, or Valkey: the queue engine and the channel of events. A server in cluster mode is recognised.',
  ),
  REDIS_PREFIX: prefix('queue', 'kling', 'Beginning of every key and channel in Redis.'),
  SQS_QUEUE_PREFIX: prefix(
    'queue',
    null,
    'Amazon SQS: beginning of the names of the queues. Makes SQS the queue engine.',
  ),
  SQS_ENDPOINT: url('queue', 'Another server that speaks SQS.'),
  PUBSUB_TOPIC_PREFIX: prefix(
    'queue',
    null,
    'Google Cloud Pub/Sub: beginning of the names of topics and subscriptions. Makes Pub/Sub the queue engine.',
  ),
  PUBSUB_EMULATOR_HOST: textOrUnset('queue', 'host:port', 'An emulator of Pub/Sub, without credentials.'),
  GOOGLE_CLOUD_PROJECT: textOrUnset(
    'queue',
    'project',
    'Project of Pub/Sub and of the bucket. Unset: that of the credentials.',
  ),
  AWS_REGION: textOrUnset('queue', 'region', 'Region of SQS and S3, such as eu-central-1.'),

  S3_BUCKET: textOrUnset('storage', 'bucket', 'Amazon S3 or any server that speaks S3: where videos are stored.'),
  S3_PREFIX: text('storage', '', 'path', 'Beginning of the keys of stored files, such as `videos/`.'),
  S3_ENDPOINT: url('storage', 'Another server that speaks S3.'),
  S3_LINK_ENDPOINT: url('storage', 'Where viewers reach that server, for links to it. Unset: S3_ENDPOINT.'),
  S3_PATH_STYLE: wordOrUnset(
    'storage',
    ['on', 'off'],
    'Bucket in the path instead of the host name. Unset: on with S3_ENDPOINT.',
  ),
  S3_CHECKSUMS: wordOrUnset(
    'storage',
    ['required', 'supported'],
    'When checksums go with a request: where S3 requires them, or wherever it can take them. Unset: `required` with S3_ENDPOINT.',
  ),
  S3_ENCRYPTION: wordOrUnset('storage', ['AES256', 'aws:kms'], 'Encryption at rest that is asked for with every file.'),
  S3_KMS_KEY_ID: textOrUnset(
    'storage',
    'key',
    'Key of `S3_ENCRYPTION=aws:kms`. Unset: the default key of the account.',
  ),
  S3_ACCESS_KEY_ID: textOrUnset(
    'storage',
    'key',
    'Credentials of the bucket alone. Unset: those that the AWS SDK finds.',
  ),
  S3_SECRET_ACCESS_KEY: secret('storage', 'Belongs to S3_ACCESS_KEY_ID.'),
  GCS_BUCKET: textOrUnset('storage', 'bucket', 'Google Cloud Storage: where videos are stored.'),
  GCS_PREFIX: text('storage', '', 'path', 'Beginning of the keys of stored files.'),
  GCS_ENDPOINT: url('storage', 'Another server that speaks the API of Cloud Storage.'),

  CDN_DRIVER: word(
    'cdn',
    ['own', 'cloudfront', 'cloudcdn'],
    'own',
    'What brings videos to viewers: our own links, Amazon CloudFront or Google Cloud CDN.',
  ),
  CDN_OWN_LINKS: word(
    'cdn',
    ['api', 'storage'],
    'api',
    'Where own links lead: to the API, which streams the file, or straight to the bucket (presigned).',
  ),
  CDN_URL: url('cdn', 'Address of the CDN, for CloudFront and Cloud CDN; its origin is the bucket.'),
  CDN_KEY_ID: textOrUnset(
    'cdn',
    'name',
    'CloudFront: id of the public key in the key group. Cloud CDN: name of the signing key.',
  ),
  CDN_PRIVATE_KEY: pemText('cdn', 'CloudFront: private key (PEM; line ends may be written as `\\n`).'),
  CDN_PRIVATE_KEY_FILE: textOrUnset('cdn', 'file', 'CloudFront: file of the private key, instead of CDN_PRIVATE_KEY.'),
  CDN_KEY: secret('cdn', 'Cloud CDN: the signing key, 16 bytes in base64url, as `gcloud` takes it.'),

  ARCHIVE_CONCURRENCY: whole('videos', 16, [1, 1_000], 'files', 'Files that one worker copies at once.'),
  DEFAULT_MODEL: model('videos', 'Model of a request that names none.'),
  RETIRED_MODELS: word(
    'videos',
    ['accept', 'refuse'],
    'accept',
    'What happens to a request for a model that Kling was seen to refuse: accepted with a warning, or refused.',
  ),
  BUDGET_CREDITS: budget(
    'videos',
    'First limit of the budget; later changed by `PUT /api/budget`. Unset: 100 with Kling, none with the sandbox.',
  ),

  KLING_POST_TIMEOUT: milliseconds(
    'timers',
    30_000,
    [100, 300_000],
    'Longest wait for the answer to a create; below LEASE_MS.',
  ),
  KLING_READ_TIMEOUT: milliseconds('timers', 15_000, [100, 300_000], 'Longest wait for the answer to a query.'),
  KLING_SETTLE_DELAY: milliseconds(
    'timers',
    60_000,
    [0, hour],
    'How long after a create Kling may take to show its task. Only after it, "not found" means that nothing was bought.',
  ),
  LEASE_MS: milliseconds(
    'timers',
    60_000,
    [200, hour],
    'How long a worker holds a piece of work before others may take it over.',
  ),
  SWEEP_INTERVAL: milliseconds('timers', 5_000, [20, hour], 'How often work that got lost is looked for.'),
  DISPATCH_INTERVAL: milliseconds(
    'timers',
    1_000,
    [20, hour],
    'How often free slots are filled, beside every time one becomes free.',
  ),
  POLL_FLOOR: milliseconds(
    'timers',
    100,
    [10, hour],
    'Shortest time between two looks at one task; it is 5 % of the time that the task is expected to take, if that is more.',
  ),
  REPUBLISH_AFTER: milliseconds(
    'timers',
    30_000,
    [50, hour],
    'After how long a message that had no effect is sent again, doubling.',
  ),
  ABANDON_AFTER: milliseconds(
    'timers',
    24 * hour,
    [1_000, 720 * hour],
    'After how long a task that never ends is given up.',
  ),
  ARCHIVE_RETRY_BASE: milliseconds('timers', 60_000, [10, 6 * hour], 'First wait after a failed copy, doubling.'),
  ARCHIVE_RETRY_CAP: milliseconds('timers', 6 * hour, [10, 24 * hour], 'Longest wait after a failed copy.'),
  START_TIMEOUT: milliseconds(
    'timers',
    60_000,
    [0, hour],
    'How long a start keeps trying to reach a database, a queue engine or a storage that does not answer.',
  ),
  DATABASE_CONNECT_TIMEOUT: milliseconds('timers', 10_000, [100, hour], 'Longest wait for a connection to PostgreSQL.'),
  DATABASE_STATEMENT_TIMEOUT: milliseconds(
    'timers',
    30_000,
    [100, hour],
    'Longest time of one statement in PostgreSQL; the server then ends it.',
  ),
  SHUTDOWN_GRACE: milliseconds(
    'timers',
    25_000,
    [0, hour],
    'How long a stopping process may finish what it has in hand.',
  ),
};

export const variablesSchema = z.object(variables);
export type Variables = z.output<typeof variablesSchema>;
