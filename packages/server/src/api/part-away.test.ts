import { expect, test } from 'vitest';
import { CommitUnknownError } from '../db/connection-failure.ts';
import { StorageError } from '../storage/storage-error.ts';
import { partAway } from './part-away.ts';

const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' });
const post = (headers = {}) => ({ method: 'POST', headers });

test('a create whose commit got no answer is told to be repeated with its key, and only with it', () => {
  const lost = new CommitUnknownError(refused);
  const withKey = partAway(lost, post({ 'idempotency-key': 'k' }));
  expect(withKey).toMatchObject({ code: 'database_unavailable', retryable: true });
  expect(withKey?.message).toMatch(/may have been stored.*same Idempotency-Key/);
  expect(partAway(lost, post())?.message).toMatch(/may have been stored.*had no Idempotency-Key, so look/);
});

test('where nothing can have been stored the answer says so, without addresses', () => {
  const away = partAway(refused, post());
  expect(away?.message).toMatch(/Nothing was changed/);
  expect(away?.message).not.toContain('10.0.0.1');
  expect(partAway(refused, { method: 'GET', headers: {} })?.code).toBe('database_unavailable');
});

test('a storage that is away is its own answer, and other errors are none', () => {
  expect(partAway(new StorageError('unavailable', 'x'), post())?.code).toBe('storage_unavailable');
  expect(partAway(new Error('a bug'), post())).toBeUndefined();
  expect(partAway(Object.assign(new Error('duplicate key'), { code: '23505' }), post())).toBeUndefined();
});
