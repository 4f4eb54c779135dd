import { expect, test } from 'vitest';
import { describeFailure, describeTaskFailure } from './describe-failure.ts';

test.each([
  [1301, 'content hits a rule', 'content_policy'],
  [1300, '', 'content_policy'],
  [1203, 'resource not found', 'model_unavailable'],
  [1201, "The model 'kling-v1' has been discontinued and is no longer available.", 'model_unavailable'],
  [1201, 'model is not supported', 'model_unavailable'],
  [1201, 'model/mode/duration(kling-v2-5-turbo/std/5) is not supported with image_tail', 'provider_rejected'],
  [1200, '', 'provider_rejected'],
] as const)('a refusal with %s "%s" is %s', (code, message, reason) => {
  const described = describeFailure({ code, message });
  expect(described.code).toBe(reason);
  expect(described.message).toContain(String(code));
});

test.each([
  ['Failure to pass the risk control system', 'content_policy'],
  ["The model 'kling-v1' has been discontinued and is no longer available.", 'model_unavailable'],
  ['Image pixel is invalid', 'generation_failed'],
  ['', 'generation_failed'],
] as const)('a failed task saying "%s" is %s', (message, reason) => {
  expect(describeTaskFailure(message)).toMatchObject({ code: reason, message: expect.stringContaining('Kling') });
});

test('Kling is quoted without addresses', () => {
  const { message } = describeFailure({
    code: 1201,
    message: 'callback_url https://a.b/callbacks/kling/att/secret is invalid',
  });
  expect(message).toBe(
    'Kling refused the request: "callback_url [url] is invalid" (code 1201). Change the request before sending it again.',
  );
});
