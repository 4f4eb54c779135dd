import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { isWebhookSecret } from '../kernel/standard-webhooks.ts';
import { verifyWebhookSignature } from './webhook-signature.ts';
import type { SignedWebhook } from './webhook-signature.ts';

// The example that Kling publishes.
const secret = new Secret('whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=');
const nowMs = 1_781_080_794_000;
const published: SignedWebhook = {
  id: '9876543210',
  timestamp: '1781080794',
  signature: 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=',
  body: '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}',
};
const other = new Secret(`whsec_${randomBytes(24).toString('base64')}`);

test('the published example is valid', () => {
  expect(verifyWebhookSignature(published, [secret], nowMs)).toBe(true);
  expect(verifyWebhookSignature({ ...published, body: Buffer.from(String(published.body)) }, [secret], nowMs)).toBe(
    true,
  );
});

test('during a rotation any secret and any signature may match', () => {
  expect(verifyWebhookSignature(published, [other, secret], nowMs)).toBe(true);
  const several = { ...published, signature: `v1,AAAA v1a,xyz ${published.signature}` };
  expect(verifyWebhookSignature(several, [other, secret], nowMs)).toBe(true);
});

test.each([
  ['another body', { body: `${String(published.body)} ` }],
  ['another id', { id: '9876543211' }],
  ['another time', { timestamp: '1781080795' }],
  ['another scheme', { signature: String(published.signature).replace('v1,', 'v2,') }],
  ['a shorter signature', { signature: String(published.signature).slice(0, -4) }],
  ['no id', { id: undefined }],
  ['no timestamp', { timestamp: undefined }],
  ['no signature', { signature: undefined }],
  ['an empty signature', { signature: 'v1,' }],
  ['a timestamp that is no number', { timestamp: '1781080794.0' }],
])('%s is refused', (_what, change) => {
  expect(verifyWebhookSignature({ ...published, ...change }, [secret], nowMs)).toBe(false);
});

test('it is valid for five minutes around its time', () => {
  expect(verifyWebhookSignature(published, [secret], nowMs + 300_000)).toBe(true);
  expect(verifyWebhookSignature(published, [secret], nowMs - 300_000)).toBe(true);
  expect(verifyWebhookSignature(published, [secret], nowMs + 301_000)).toBe(false);
  expect(verifyWebhookSignature(published, [secret], nowMs - 301_000)).toBe(false);
});

test('no secret, another secret and an unusable secret verify nothing', () => {
  expect(verifyWebhookSignature(published, [], nowMs)).toBe(false);
  expect(verifyWebhookSignature(published, [other], nowMs)).toBe(false);
  for (const text of ['whsec_', 'whsec_!!!', 'whsec_YQ==', 'dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=']) {
    expect(isWebhookSecret(text)).toBe(false);
    expect(verifyWebhookSignature(published, [new Secret(text)], nowMs)).toBe(false);
  }
  expect(isWebhookSecret(secret.reveal())).toBe(true);
});

test('whatever the reference library signs is valid', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), fc.uuid(), fc.string(), (key, id, body) => {
      const text = `whsec_${Buffer.from(key).toString('base64')}`;
      const signature = new Webhook(text).sign(id, new Date(nowMs), body);
      expect(verifyWebhookSignature({ id, timestamp: '1781080794', signature, body }, [new Secret(text)], nowMs)).toBe(
        true,
      );
    }),
    { numRuns: 50 },
  );
});
