import { AppError } from '../kernel/errors.ts';
import { findJsonError } from './json-error.ts';

/**
 * Reads the bytes of a body as UTF-8, without a byte order mark.
 * @throws AppError `malformed_json`: a wrong encoding would otherwise become wrong words in a paid video
 */
export function decodeBody(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const detail = 'The body is not valid UTF-8; encode it as UTF-8.';
    throw new AppError('malformed_json', detail, { data: { errors: [{ pointer: '', detail }] }, cause: error });
  }
}

/**
 * Reads a JSON body.
 * @throws AppError `malformed_json`, naming line and column where reading stopped
 */
export function parseJsonBody(text: string): unknown {
  if (text.trim() === '') throw malformed('The body is empty; send a JSON object.', 0, text);
  try {
    return JSON.parse(text);
  } catch (error) {
    const { position, expected } = findJsonError(text);
    throw malformed(`The body is not JSON: ${expected} expected`, position, text, error);
  }
}

function malformed(message: string, position: number, text: string, cause?: unknown): AppError {
  const before = text.slice(0, position).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  const place = cause === undefined ? '' : ` at line ${line}, column ${column}.`;
  return new AppError('malformed_json', `${message}${place}`, {
    data: { line, column, errors: [{ pointer: '', detail: `${message}${place}` }] },
    ...(cause === undefined ? {} : { cause }),
  });
}
