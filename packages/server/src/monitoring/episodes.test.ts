import { expect, test } from 'vitest';
import { createEpisodes } from './episodes.ts';

test('a failure that goes on is reported once, another one and a new episode again', () => {
  const said: string[] = [];
  let now = 0;
  const failed = createEpisodes((error, while_) => said.push(`${while_}: ${error.message}`), {
    quietMs: 1_000,
    nowMs: () => now,
  });
  for (; now <= 10_000; now += 900) failed(new Error('away'), 'fetching');
  failed(new Error('away'), 'publishing');
  expect(said).toEqual(['fetching: away', 'publishing: away']);
  now += 2_000;
  failed(new Error('away again'), 'fetching');
  expect(said.at(-1)).toBe('fetching: away again');
});
