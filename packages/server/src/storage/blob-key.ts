import { StorageError } from './storage-error.ts';

/** One segment: what every store, file system and URL spells the same way. No leading dot: those names are the store's. */
const segmentPattern = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,127}$/;

/**
 * Checks a key such as `vid_1/att_1.mp4`. The rule lists what is allowed, so that `..`, absolute paths, NUL, backslashes
 * and empty segments are refused without being named, on every driver alike.
 * @throws StorageError `invalid_key`
 */
export function checkBlobKey(key: string): void {
  if (key.length > 512 || !key.split('/').every((segment) => segmentPattern.test(segment))) throw invalid('key');
}

/**
 * Checks the prefix of a listing: empty, or the beginning of a valid key.
 * @throws StorageError `invalid_key`
 */
export function checkBlobPrefix(prefix: string): void {
  const segments = prefix.split('/');
  if (segments.at(-1) === '') segments.pop();
  if (prefix.length > 512 || !segments.every((segment) => segmentPattern.test(segment))) throw invalid('prefix');
}

function invalid(what: 'key' | 'prefix'): StorageError {
  const rule = 'segments of letters, digits and ._=- joined by single slashes, none beginning with a dot';
  return new StorageError('invalid_key', `The storage ${what} must be ${rule}.`);
}
