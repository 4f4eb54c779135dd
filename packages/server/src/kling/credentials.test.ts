import { expect, test } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { credentialsFingerprint, generationsOf, resolveHost } from './credentials.ts';
import type { KlingAccount } from './kling-api.ts';

const none: KlingAccount = { id: 'main', host: 'https://a.example', apiKey: null, accessKey: null, secretKey: null };
const pair = { accessKey: new Secret('access'), secretKey: new Secret('secret') };
const apiKey = new Secret('api-key-kling-1');

test('an API key reaches both generations, a pair only legacy, half a pair nothing', () => {
  expect(generationsOf({ ...none, apiKey })).toEqual(['standard', 'legacy']);
  expect(generationsOf({ ...none, ...pair, apiKey })).toEqual(['standard', 'legacy']);
  expect(generationsOf({ ...none, ...pair })).toEqual(['legacy']);
  expect(generationsOf({ ...none, accessKey: pair.accessKey })).toEqual([]);
});

test('the fingerprint changes with every credential and the host, and only then', () => {
  const accounts: KlingAccount[] = [
    none,
    { ...none, apiKey },
    { ...none, ...pair },
    { ...none, accessKey: pair.secretKey, secretKey: pair.accessKey },
    { ...none, ...pair, apiKey },
    { ...none, host: 'https://b.example' },
  ];
  expect(new Set(accounts.map(credentialsFingerprint)).size).toBe(accounts.length);
  expect(credentialsFingerprint({ ...none, id: 'renamed' })).toBe(credentialsFingerprint(none));
  expect(credentialsFingerprint({ ...none, ...pair })).toMatch(/^[0-9a-f]{32}$/);
});

test('hosts have names, or are origins', () => {
  expect(resolveHost('global')).toBe('https://api-singapore.klingai.com');
  expect(resolveHost('china')).toBe('https://api-beijing.klingai.com');
  expect(resolveHost('http://127.0.0.1:8010/')).toBe('http://127.0.0.1:8010');
});

test.each(['singapore', '', 'ftp://a.b', 'https://user:word@a.b', 'https://a.b/v1', 'https://a.b?x=1'])(
  'the host %j is refused without repeating it',
  (value) => {
    expect(() => resolveHost(value)).toThrow(RangeError);
    expect(() => resolveHost(value)).toThrow(/origin/);
    expect(() => resolveHost(value)).not.toThrow(/word|v1/);
  },
);
