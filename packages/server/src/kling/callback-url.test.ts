import { expect, test } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { createCallbackUrls } from './callback-url.ts';

const secret = new Secret('0123456789abcdef');
const urls = createCallbackUrls({ baseUrl: 'https://video.example.com/dailies/', secret });
const attemptId = 'att_01k9aaaaaaaaaaaaaaaaaaaaaa';

test('an address names its attempt', () => {
  const url = urls.urlFor(attemptId);
  expect(url).toMatch(/^https:\/\/video\.example\.com\/dailies\/callbacks\/kling\/att_\w+\/[\w-]{43}$/);
  const path = new URL(url!).pathname;
  expect(urls.read(path)).toBe(attemptId);
  expect(urls.read(path.replace('/dailies', ''))).toBe(attemptId);
  expect(urls.read(`${path}?x=1`)).toBe(attemptId);
});

test('an address cannot be made up', () => {
  const path = new URL(urls.urlFor(attemptId)!).pathname;
  const another = createCallbackUrls({ baseUrl: 'https://video.example.com', secret: new Secret('another secret') });
  expect(another.read(path)).toBeUndefined();
  expect(urls.read(path.replace(attemptId, `${attemptId}x`))).toBeUndefined();
  expect(urls.read(path.slice(0, -1))).toBeUndefined();
  expect(urls.read(`${path}/`)).toBeUndefined();
  expect(urls.read('/callbacks/kling/att_1/')).toBeUndefined();
  expect(urls.read('')).toBeUndefined();
});

test('without a public address there is none, but given ones are still read', () => {
  const polled = createCallbackUrls({ baseUrl: null, secret });
  expect(polled.urlFor(attemptId)).toBeNull();
  expect(polled.read(new URL(urls.urlFor(attemptId)!).pathname)).toBe(attemptId);
});
