import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig, type Environment, type Role } from './config.ts';

const postgres = 'postgres://user:hidden-password@db:5432/dailies';

function mistakes(environment: Environment, role: Role = 'serve'): readonly string[] {
  try {
    readConfig(environment, role);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
}

test('no configuration at all is the embedded server with the sandbox and no limit', () => {
  const config = readConfig({ PATH: '/bin', KLING_API_KEY: ' ' }, 'serve');
  expect(config).toMatchObject({
    provider: 'sandbox',
    warnings: [],
    database: { driver: 'pglite' },
    http: { host: '127.0.0.1', port: 8000, callbacksPort: 8001, publicUrl: null },
    sandbox: { port: 8002, speed: 10 },
    account: { id: 'default', host: null, apiKey: null },
    kling: { slotsPerPool: null, callbackUrl: null, generation: 'auto', settleDelayMs: 60_000 },
    videos: { defaultModel: 'kling-2.6', budgetCredits: null },
    timers: { leaseMs: 60_000, abandonAfterMs: 86_400_000 },
  });
  expect(config.dataDirectory).toBe(`${process.cwd()}/.dailies`);
});

test('real credentials mean Kling, with a limit of 100 credits until another is said', () => {
  const config = readConfig({ KLING_API_KEY: 'hidden-key' }, 'serve');
  expect(config).toMatchObject({
    provider: 'kling',
    sandbox: null,
    account: { host: 'https://api-singapore.klingai.com' },
    videos: { budgetCredits: '100' },
  });
  expect(config.account.apiKey?.reveal()).toBe('hidden-key');
  expect(config.warnings.map((line) => line.split(' ')[0])).toEqual(['KLING_CALLBACK_URL', 'BUDGET_CREDITS']);
  const said = {
    KLING_API_KEY: 'k',
    BUDGET_CREDITS: '250.50',
    KLING_BASE_URL: 'china',
    WEBHOOK_URL: 'https://a.example/',
  };
  expect(readConfig(said, 'serve')).toMatchObject({
    warnings: [],
    account: { host: 'https://api-beijing.klingai.com' },
    kling: { callbackUrl: 'https://a.example' },
    videos: { budgetCredits: '250.5' },
  });
  expect(readConfig({ ...said, BUDGET_CREDITS: 'unlimited' }, 'serve').videos.budgetCredits).toBeNull();
});

describe('nobody gets pretend videos beside something real', () => {
  test.for<[string, Environment, Role]>([
    ['a database', { DATABASE_URL: postgres }, 'serve'],
    ['a split role', { DATABASE_URL: postgres, DATA_DIR: '/shared' }, 'worker'],
  ])('%s needs credentials or an explicit sandbox', ([, environment, role]) => {
    expect(mistakes(environment, role).join()).toMatch(
      /^KLING_API_KEY is missing although DATABASE_URL.*KLING_PROVIDER=sandbox/,
    );
    expect(mistakes({ ...environment, KLING_API_KEY: 'k' }, role)).toEqual([]);
    expect(mistakes({ ...environment, KLING_PROVIDER: 'sandbox', SANDBOX_URL: 'http://box:8002' }, role)).toEqual([]);
  });

  test('Kling that was said needs its credentials', () => {
    expect(mistakes({ KLING_PROVIDER: 'kling' })).toEqual([expect.stringMatching(/^KLING_API_KEY is missing for/)]);
  });

  test('the roles that never talk to Kling need no key of it', () => {
    expect(readConfig({ DATABASE_URL: postgres, DATA_DIR: '/shared' }, 'api').provider).toBe('kling');
    expect(mistakes({ DATABASE_URL: postgres }, 'callbacks')).toEqual([]);
  });
});

test.for(['api', 'worker'] as const)('the role %s alone needs a shared database and a shared storage', (role) => {
  const needsDatabase: unknown = expect.stringMatching(/^DATABASE_URL is needed by the role/);
  const needsStorage: unknown = expect.stringMatching(/^DATA_DIR is needed by the role .* S3_BUCKET or GCS_BUCKET/);
  expect(mistakes({ KLING_API_KEY: 'k' }, role)).toEqual([needsDatabase, needsStorage]);
  expect(mistakes({ KLING_API_KEY: 'k', DATABASE_URL: postgres }, role)).toEqual([needsStorage]);
  expect(mistakes({ KLING_API_KEY: 'k', DATABASE_URL: postgres, GCS_BUCKET: 'b' }, role)).toEqual([]);
});

test('the receiver of callbacks needs a shared database and no storage', () => {
  expect(mistakes({}, 'callbacks')).toEqual([expect.stringMatching(/^DATABASE_URL is needed by the role/)]);
});

test('every mistake is reported at once, by name, and without the value of a secret', () => {
  const lines = mistakes({
    DATABASE_URL: 'mysql://user:hidden-password@db/dailies',
    KLING_SECRET_KEY: 'hidden-secret',
    KLING_TIER: 'gold',
    KLING_WEBHOOK_SECRET: 'hidden-webhook',
    PORT: '80000',
    LEASE_MS: '1 min',
    SANDBOX_SPEED: '0',
    KLING_BASE_URL: 'ftp://x',
    BUDGET_CREDITS: '-1',
    DEFAULT_MODEL: 'kling-26',
    REDIS_URL: 'http://:hidden-password@x',
    CDN_KEY_ID: 'x',
    CDN_PRIVATE_KEY: 'hidden-key',
    S3_BUCKET: 'b',
  });
  const names = lines.map((line) => String(line.split(' ')[0])).toSorted();
  expect(names).toEqual([
    'AWS_REGION',
    'BUDGET_CREDITS',
    'CDN_KEY_ID',
    'CDN_PRIVATE_KEY',
    'CDN_PRIVATE_KEY',
    'DATABASE_URL',
    'DEFAULT_MODEL',
    'KLING_ACCESS_KEY',
    'KLING_BASE_URL',
    'KLING_TIER',
    'KLING_WEBHOOK_SECRET',
    'LEASE_MS',
    'PORT',
    'REDIS_URL',
    'SANDBOX_SPEED',
  ]);
  expect(lines).toContain('KLING_TIER must be free, standard, pro or enterprise');
  expect(lines).toContain('LEASE_MS must be a whole number from 200 to 3600000 (ms)');
  expect(lines.join()).toMatch(/DEFAULT_MODEL is not a known model; did you mean .*kling-2\.6/);
  expect(lines.join()).not.toContain('hidden');
});

test.for<[string, Environment]>([
  ['KLING_SECRET_KEY', { KLING_ACCESS_KEY: 'a' }],
  ['KLING_ACCESS_KEY', { KLING_SECRET_KEY: 's' }],
  ['KLING_GENERATION', { KLING_ACCESS_KEY: 'a', KLING_SECRET_KEY: 's', KLING_GENERATION: 'standard' }],
  ['KLING_BASE_URL', { KLING_PROVIDER: 'sandbox', KLING_BASE_URL: 'global' }],
  ['SANDBOX_URL', { KLING_API_KEY: 'k', SANDBOX_URL: 'http://x' }],
  ['WEBHOOK_URL', { WEBHOOK_URL: 'http://x', KLING_CALLBACK_URL: 'http://y' }],
  ['CALLBACKS_PORT', { PORT: '9000', CALLBACKS_PORT: '9000' }],
  ['KLING_POST_TIMEOUT', { KLING_POST_TIMEOUT: '60000' }],
  ['ARCHIVE_RETRY_BASE', { ARCHIVE_RETRY_BASE: '100', ARCHIVE_RETRY_CAP: '50' }],
])('what does not go together is refused by %s', ([name, environment]) => {
  expect(mistakes(environment).map((line) => line.split(' ')[0])).toEqual([name]);
});

test('a worker with the sandbox is told where it runs', () => {
  expect(mistakes({ DATABASE_URL: postgres, DATA_DIR: '/shared', KLING_PROVIDER: 'sandbox' }, 'worker')).toEqual([
    expect.stringMatching(/^SANDBOX_URL is needed/),
  ]);
});

test('tasks at once: the number wins over the tier', () => {
  const slots = (environment: Environment) => readConfig(environment, 'serve').kling.slotsPerPool;
  expect(['free', 'standard', 'pro', 'enterprise'].map((tier) => slots({ KLING_TIER: tier }))).toEqual([1, 3, 5, 10]);
  expect(slots({ KLING_TIER: 'free', KLING_CONCURRENCY: '7' })).toBe(7);
});

test('two webhook secrets serve while one is replaced by the other', () => {
  const [old, fresh] = ['the old secret of Kling', 'the new secret of Kling'].map(
    (text) => `whsec_${Buffer.from(text).toString('base64')}`,
  );
  const { kling } = readConfig({ KLING_WEBHOOK_SECRET: `${old}, ${fresh}` }, 'serve');
  expect(kling.webhookSecrets.map((secret) => secret.reveal())).toEqual([old, fresh]);
});

test('a webhook secret too short to verify anything is refused', () => {
  expect(() => readConfig({ KLING_WEBHOOK_SECRET: 'whsec_b2xk' }, 'serve')).toThrow(/KLING_WEBHOOK_SECRET must be/);
});

test('a misspelt variable is pointed out', () => {
  expect(readConfig({ KLING_TEIR: 'pro' }, 'serve').warnings).toEqual([
    'KLING_TEIR is not a variable; did you mean KLING_TIER?',
  ]);
});

test('the configuration cannot be changed, and does not print a secret', () => {
  const config = readConfig({ KLING_API_KEY: 'hidden-key', DATABASE_URL: postgres }, 'serve');
  expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  expect(inspect(config, { depth: null }) + JSON.stringify(config)).not.toContain('hidden');
});

describe('each real part is switched on by its own variable', () => {
  const sandbox = { KLING_PROVIDER: 'sandbox' };
  const read = (environment: Environment) => readConfig({ ...sandbox, ...environment }, 'serve');

  test('the queue engine', () => {
    expect(read({}).queue).toEqual({ driver: 'postgres' });
    const redis = { REDIS_URL: 'redis://a:1, redis://b:2' };
    expect(read(redis).queue).toMatchObject({ driver: 'redis', prefix: 'kling' });
    expect(read(redis).redisEvents?.urls.map((url) => url.reveal())).toEqual(['redis://a:1', 'redis://b:2']);
    const sqs = { ...redis, SQS_QUEUE_PREFIX: 'dailies', AWS_REGION: 'eu-central-1' };
    expect(read(sqs)).toMatchObject({ queue: { driver: 'sqs', prefix: 'dailies' }, redisEvents: { prefix: 'kling' } });
    expect(read({ ...sqs, QUEUE_ENGINE: 'redis' }).queue.driver).toBe('redis');
    expect(read({ PUBSUB_TOPIC_PREFIX: 'd', PUBSUB_EMULATOR_HOST: 'h:1' }).queue).toEqual({
      driver: 'pubsub',
      prefix: 'd',
      projectId: null,
      emulatorHost: 'h:1',
    });
  });

  test('the storage; a server other than that of Amazon is reached by path, without checksums that it may not know', () => {
    expect(read({ S3_BUCKET: 'b', AWS_REGION: 'r' }).storage).toMatchObject({
      driver: 's3',
      pathStyle: false,
      checksums: 'supported',
    });
    const own = { S3_BUCKET: 'b', S3_ENDPOINT: 'http://s3:9000/', S3_ACCESS_KEY_ID: 'i', S3_SECRET_ACCESS_KEY: 's' };
    expect(read(own).storage).toMatchObject({
      endpoint: 'http://s3:9000',
      pathStyle: true,
      checksums: 'required',
      credentials: { accessKeyId: 'i' },
    });
    expect(read({ GCS_BUCKET: 'b', GCS_PREFIX: 'v/' }).storage).toMatchObject({ driver: 'gcs', prefix: 'v/' });
  });

  test('the delivery', () => {
    const bucket = {
      S3_BUCKET: 'b',
      S3_PREFIX: 'v/',
      AWS_REGION: 'r',
      CDN_URL: 'https://cdn.example',
      CDN_KEY_ID: 'K',
    };
    const pem = String.raw`-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----`;
    const cloudfront = read({ ...bucket, CDN_DRIVER: 'cloudfront', CDN_PRIVATE_KEY: pem }).cdn;
    expect(cloudfront).toMatchObject({ driver: 'cloudfront', url: 'https://cdn.example', prefix: 'v/' });
    expect(inspect(cloudfront, { depth: 9 })).not.toContain('hidden');
    const key = 'AAECAwQFBgcICQoLDA0ODw==';
    expect(read({ ...bucket, CDN_DRIVER: 'cloudcdn', CDN_KEY: key }).cdn).toMatchObject({ keyName: 'K' });
  });

  test.for<[string, Environment]>([
    ['GCS_BUCKET', { S3_BUCKET: 'a', GCS_BUCKET: 'b', AWS_REGION: 'r' }],
    ['QUEUE_ENGINE', { SQS_QUEUE_PREFIX: 'a', PUBSUB_TOPIC_PREFIX: 'b', AWS_REGION: 'r' }],
    ['REDIS_URL', { QUEUE_ENGINE: 'redis' }],
    ['AWS_REGION', { SQS_QUEUE_PREFIX: 'a' }],
    ['S3_PREFIX', { S3_PREFIX: 'a' }],
    ['S3_ACCESS_KEY_ID', { S3_BUCKET: 'b', AWS_REGION: 'r', S3_ACCESS_KEY_ID: 'i' }],
    ['S3_KMS_KEY_ID', { S3_BUCKET: 'b', AWS_REGION: 'r', S3_KMS_KEY_ID: 'k' }],
    ['CDN_URL', { CDN_URL: 'https://x' }],
    ['CDN_KEY', { CDN_DRIVER: 'cloudcdn', GCS_BUCKET: 'b', CDN_URL: 'https://x', CDN_KEY_ID: 'k', CDN_KEY: 'short' }],
    ['CDN_OWN_LINKS=storage', { CDN_OWN_LINKS: 'storage' }],
    ['DATABASE_TLS', { DATABASE_TLS: 'verify' }],
  ])('%s is named when the parts do not fit together', ([name, environment]) => {
    expect(mistakes({ ...sandbox, ...environment })).toEqual([expect.stringMatching(new RegExp(`^${name} `))]);
  });
});
