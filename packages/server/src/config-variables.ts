import { z } from 'zod';
import {
  accountId,
  baseUrl,
  budget,
  databaseUrl,
  decimal,
  milliseconds,
  model,
  port,
  secret,
  secrets,
  text,
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

  DATABASE_URL: databaseUrl('parts', 'PostgreSQL 13 or newer. Unset: the embedded database in DATA_DIR.'),
  DATABASE_CONNECTIONS: whole('parts', 10, [2, 1_000], 'connections', 'Most connections of one process to PostgreSQL.'),

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
  SHUTDOWN_GRACE: milliseconds(
    'timers',
    25_000,
    [0, hour],
    'How long a stopping process may finish what it has in hand.',
  ),
};

/** Drivers of later versions. They are real parts, so they are refused instead of being ignored. */
export const laterVariables = [
  'REDIS_URL',
  'SQS_QUEUE_PREFIX',
  'PUBSUB_TOPIC_PREFIX',
  'S3_BUCKET',
  'GCS_BUCKET',
] as const;
export const laterPrefix = 'CDN_';

export const variablesSchema = z.object(variables);
export type Variables = z.output<typeof variablesSchema>;
