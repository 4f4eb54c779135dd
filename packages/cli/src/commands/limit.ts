import { InvalidArgumentError } from 'commander';

/** The size of a page. */
export function toLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw new InvalidArgumentError('It must be 1 to 100.');
  return limit;
}
