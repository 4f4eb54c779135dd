import { expect, test } from 'vitest';
import type { AttemptState } from '../db/tables.ts';
import { attemptMoves, submitStates } from './attempt.ts';

const states = Object.keys(attemptMoves) as AttemptState[]; // the keys of a closed table

function statesBefore(to: AttemptState): AttemptState[] {
  return states.filter((from) => (attemptMoves[from] as readonly AttemptState[]).includes(to));
}

test('the submit handler owns exactly the states from which Kling can still accept or refuse', () => {
  expect(statesBefore('accepted')).toEqual([...submitStates]);
  expect(statesBefore('refused')).toEqual([...submitStates]);
});

test('what Kling accepted ends or is given up, and what was given up can still end; nothing else ends', () => {
  expect(statesBefore('ended')).toEqual(['accepted', 'abandoned']);
  expect(statesBefore('abandoned')).toEqual(['accepted']);
});

test('what was refused or has ended never moves again', () => {
  expect(states.filter((state) => attemptMoves[state].length === 0)).toEqual(['ended', 'refused']);
});
