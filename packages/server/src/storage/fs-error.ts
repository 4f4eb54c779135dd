import { asError } from '../kernel/errors.ts';
import { StorageError } from './storage-error.ts';

const reasons: Readonly<Record<string, StorageError['reason']>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOTDIR: 'invalid_key',
  EISDIR: 'invalid_key',
  EEXIST: 'invalid_key',
  ENOTEMPTY: 'invalid_key',
  ENAMETOOLONG: 'invalid_key',
};

const explanations: Readonly<Record<StorageError['reason'], string>> = {
  missing: 'it is not there',
  incomplete: 'it is not whole',
  full: 'the disk or its quota is full',
  denied: 'the process may not write or read there',
  invalid_key: 'another file or folder is in the way of that name',
  unavailable: 'the file system failed',
};

/** True when a file system call failed with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = codeOf(error);
  return code !== undefined && codes.includes(code);
}

/**
 * The typed form of a failed file system call; a StorageError passes unchanged. The text names the code and no path.
 * @param doing what failed, as in "writing a file"
 */
export function fileSystemError(error: unknown, doing: string): StorageError {
  if (error instanceof StorageError) return error;
  const code = codeOf(error);
  const reason = (code !== undefined && reasons[code]) || 'unavailable';
  const text = `${doing} failed: ${explanations[reason]} (${code ?? asError(error).name}).`;
  return new StorageError(reason, text.charAt(0).toUpperCase() + text.slice(1), error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
