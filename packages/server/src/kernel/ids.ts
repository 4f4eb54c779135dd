import { randomBytes } from 'node:crypto';

/** Every id prefix, in one table. */
export const idPrefixes = {
  workspace: 'ws',
  apiKey: 'key',
  video: 'vid',
  attempt: 'att',
  file: 'fil',
  event: 'evt',
  delivery: 'dlv',
  webhook: 'whk',
  request: 'req',
} as const;

export type IdKind = keyof typeof idPrefixes;

/** Crockford's alphabet in lower case: sorts like the number it spells, no i, l, o, u. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A new id such as `vid_01k9…`: 48 bits of time (so that indexes grow at their end) and 80 random bits.
 * The time in it orders index pages only and is never read back.
 */
export function createId(kind: IdKind): string {
  let text = '';
  let time = Date.now();
  for (let index = 0; index < 10; index++) {
    text = alphabet.charAt(time % 32) + text;
    time = Math.floor(time / 32);
  }
  for (const byte of randomBytes(16)) text += alphabet.charAt(byte % 32);
  return `${idPrefixes[kind]}_${text}`;
}
