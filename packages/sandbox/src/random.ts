import { createHash } from 'node:crypto';

/**
 * A number in [0, 1) that depends on nothing but its arguments, so that a run repeats whatever the order of requests
 * and however often the process was killed in between.
 */
export function seeded(seed: number, purpose: string, key: string | number): number {
  return seededInteger(seed, purpose, key) / 2 ** 32;
}

/** The same choice as an unsigned 32-bit integer. */
export function seededInteger(seed: number, purpose: string, key: string | number): number {
  return digest(seed, purpose, key).readUInt32BE(0);
}

/** The same choice as hexadecimal text of up to 64 characters. */
export function seededHex(seed: number, purpose: string, key: string | number): string {
  return digest(seed, purpose, key).toString('hex');
}

function digest(seed: number, purpose: string, key: string | number): Buffer {
  return createHash('sha256').update(`${seed}\0${purpose}\0${key}`).digest();
}
