import { expect, test } from 'vitest';
import { urlExpiryMs } from './url-expiry.ts';

test.each([
  ['https://s15-kling-fdl.klingai.com/a.mp4?Expires=1791592000&Signature=s&Key-Pair-Id=k', 1_791_592_000_000],
  ['https://v15-kling-fdl.klingai.com/a.mp4?ksSecret=s&ksTime=694fa816', 1_766_828_054_000],
  ['https://v15-kling-fdl.klingai.com/a.mp4?pkey=x', null],
  ['https://v15-kling-fdl.klingai.com/a.mp4?Expires=soon', null],
  ['https://v15-kling-fdl.klingai.com/a.mp4?Expires=5', null],
  ['https://v15-kling-fdl.klingai.com/a.mp4?ksTime=zz', null],
  ['not a url', null],
])('%s ends at %s', (url, expiresAtMs) => {
  expect(urlExpiryMs(url)).toBe(expiresAtMs);
});
