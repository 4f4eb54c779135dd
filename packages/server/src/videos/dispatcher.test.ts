import { expect, test } from 'vitest';
import { createDispatcher } from './dispatcher.ts';

/** A dispatch that ends when it is told to. */
function openControlled() {
  const runs: { readonly familyId: string; readonly end: (error?: Error) => void }[] = [];
  const errors: string[] = [];
  const dispatcher = createDispatcher(
    (familyId) =>
      new Promise<void>((resolve, reject) => {
        runs.push({ familyId, end: (error) => (error ? reject(error) : resolve()) });
      }),
    (error, familyId) => errors.push(`${familyId}: ${error.message}`),
  );
  const settled = async () => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { dispatcher, runs, errors, settled };
}

test('requests that come while a dispatch runs become one more run', async () => {
  const { dispatcher, runs, settled } = openControlled();
  dispatcher.request(['a']);
  for (let index = 0; index < 5; index++) dispatcher.request(['a', 'a']);
  expect(runs).toHaveLength(1);
  runs[0]!.end();
  await settled();
  expect(runs).toHaveLength(2);
  runs[1]!.end();
  await dispatcher.idle();
  expect(runs).toHaveLength(2);
  dispatcher.request(['a']);
  expect(runs, 'and later ones run again').toHaveLength(3);
  runs[2]!.end();
  await dispatcher.idle();
});

test('families do not wait for each other', async () => {
  const { dispatcher, runs } = openControlled();
  dispatcher.request(['a', 'b']);
  expect(runs.map((run) => run.familyId)).toEqual(['a', 'b']);
  for (const run of runs) run.end();
  await dispatcher.idle();
});

test('a dispatch that fails is told about, and the next request runs', async () => {
  const { dispatcher, runs, errors } = openControlled();
  dispatcher.request(['a']);
  runs[0]!.end(new Error('no database'));
  await dispatcher.idle();
  expect(errors).toEqual(['a: no database']);
  dispatcher.request(['a']);
  expect(runs).toHaveLength(2);
  runs[1]!.end();
  await dispatcher.idle();
});
