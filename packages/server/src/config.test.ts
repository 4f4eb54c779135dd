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
    ['a split role', { DATABASE_URL: postgres }, 'worker'],
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
    expect(readConfig({ DATABASE_URL: postgres }, 'api').provider).toBe('kling');
    expect(mistakes({ DATABASE_URL: postgres }, 'callbacks')).toEqual([]);
  });
});

test.for(['api', 'worker', 'callbacks'] as const)('the role %s alone needs a shared database', (role) => {
  expect(mistakes({ KLING_API_KEY: 'k' }, role)).toEqual([
    expect.stringMatching(/^DATABASE_URL is needed by the role/),
  ]);
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
    REDIS_URL: 'redis://x',
    CDN_KEY_ID: 'x',
  });
  const names = lines.map((line) => String(line.split(' ')[0])).toSorted();
  expect(names).toEqual([
    'BUDGET_CREDITS',
    'CDN_KEY_ID',
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
  expect(mistakes({ DATABASE_URL: postgres, KLING_PROVIDER: 'sandbox' }, 'worker')).toEqual([
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
