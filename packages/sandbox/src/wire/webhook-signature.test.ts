import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { webhookHeaders } from './webhook-signature.ts';

const secret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=';

test('the published vector', () => {
  const body =
    '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}';
  expect(webhookHeaders([secret], { id: '9876543210', timestampSeconds: 1781080794, body })).toEqual({
    'webhook-id': '9876543210',
    'webhook-timestamp': '1781080794',
    'webhook-signature': 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=',
  });
});

test('during a rotation either secret verifies with the reference library', () => {
  const other = `whsec_${Buffer.from('another-secret-of-some-length').toString('base64')}`;
  const body = '{"id":"1"}';
  const headers = webhookHeaders([secret, other], { id: '7', timestampSeconds: Math.floor(Date.now() / 1000), body });
  expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
  for (const each of [secret, other]) expect(new Webhook(each).verify(body, headers)).toEqual({ id: '1' });
});

test('without a secret there is no signature', () => {
  expect(webhookHeaders([], { id: '1', timestampSeconds: 1, body: '' })).toEqual({});
});
