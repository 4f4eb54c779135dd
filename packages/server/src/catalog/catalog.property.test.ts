import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { clipFacts, expectedGenerationMs } from './durations.ts';
import { generations } from './generations.ts';
import { models } from './models.ts';
import { priceOf } from './price.ts';
import { createVideoBody } from './schema.ts';
import { validateRequest, type ValidRequest, type ValidationOptions } from './validate.ts';
import { generationFor, toWire } from './wire.ts';

const options: ValidationOptions = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null };
const names = models.flatMap(({ id, aliases }) => [id, ...aliases]);
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const shot = fc.record({
  prompt: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 600 }),
  duration: fc.integer({ min: 1, max: 6 }),
});
const axis = fc.double({ min: -10, max: 10, noNaN: true });

/** Bodies that are near enough to be accepted often, and wrong often enough. */
const likely = fc
  .record({
    model: some(fc.constantFrom(...names)),
    mode: some(fc.constantFrom('std', 'standard', 'pro', 'professional', '4k')),
    duration: some(fc.oneof(fc.constantFrom(5, 10, '5', '10'), fc.integer({ min: 3, max: 15 }))),
    aspect_ratio: some(fc.constantFrom('16:9', '9:16', '1:1')),
    sound: some(fc.constantFrom(true, false, 'on', 'off')),
    prompt: some(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3100, size: 'max' })),
    negative_prompt: some(fc.string({ unit: 'grapheme', maxLength: 50 })),
    cfg_scale: some(fc.double({ min: 0, max: 1, noNaN: true })),
    multi_shot: some(fc.constantFrom(true, false, 'customize', 'intelligence')),
    shots: fc.option(fc.array(shot, { minLength: 1, maxLength: 6 }), { nil: undefined, freq: 1 }),
    camera_control: fc.option(
      fc.oneof(
        fc.record({ type: fc.constantFrom('down_back', 'forward_up') }),
        fc.record({ type: fc.constant('simple'), config: fc.record({ pan: axis, zoom: axis }, { requiredKeys: [] }) }),
      ),
      { nil: undefined, freq: 1 },
    ),
    watermark: some(fc.boolean()),
  })
  .map((body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)));

/** Any JSON under our own names. */
const wild = fc.dictionary(
  fc.oneof(fc.constantFrom(...Object.keys(createVideoBody.shape)), fc.string()),
  fc.jsonValue(),
);

function judge(body: unknown): ValidRequest | undefined {
  try {
    return validateRequest(body, options);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    for (const { pointer, detail } of error.data.errors ?? []) {
      expect(pointer === '' || pointer.startsWith('/')).toBe(true);
      expect(detail).toMatch(/[.?!)]$/);
    }
    expect(error.data.errors?.length).toBeGreaterThan(0);
    return undefined;
  }
}

test('whatever is accepted has a price, a wire form, a picture, and validates to itself', () => {
  let accepted = 0;
  fc.assert(
    fc.property(likely, (body) => {
      const valid = judge(body);
      if (!valid) return;
      accepted += 1;
      const { request, needs } = valid;
      expect(priceOf(request).credits > 0n).toBe(true);
      expect(clipFacts(request).frames).toBeGreaterThan(72);
      expect(expectedGenerationMs(request)).toBeGreaterThan(0);
      const generation = generationFor(request, generations);
      if (generation === undefined) throw new Error('no generation carries an accepted request');
      if (needs !== null) expect(generation).toBe(needs);
      const wire = toWire(request, generation, { externalTaskId: 'att_1', callbackUrl: null });
      expect(JSON.parse(JSON.stringify(wire))).toEqual(wire);
      expect(validateRequest(JSON.parse(JSON.stringify(request)), options).request).toEqual(request);
    }),
    { numRuns: 1500 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test('whatever is sent is accepted or refused with mistakes, never a crash', () => {
  fc.assert(
    fc.property(fc.oneof(wild, fc.jsonValue()), (body) => {
      judge(body);
    }),
    { numRuns: 1500 },
  );
});
