import { seededHex, seededInteger } from './random.ts';

/** Start of Kling's id clock as derived from observed ids (kling-api.md 3). */
const epochMs = 1_568_028_518_800;
const lowBits = 22n;

export interface Ids {
  /** An 18-digit decimal string carrying its time; larger than every id given before. */
  next(nowMs: number): string;
}

/** `floor` is the largest id already in use (from the journal). */
export function createIds(seed: number, floor = 0n): Ids {
  let last = floor;
  let count = 0;
  return {
    next: (nowMs) => {
      const small = BigInt(seededInteger(seed, 'id', count++) & 0xff);
      const wanted = (BigInt(nowMs - epochMs) << lowBits) + small;
      last = wanted > last ? wanted : last + 1n;
      return last.toString();
    },
  };
}

/** A video's id: its embedded time is 12 to 44 ms later than the task's. */
export function videoIdOf(taskId: string, seed: number): string {
  const laterMs = 12 + (seededInteger(seed, 'video-id', taskId) % 33);
  return (BigInt(taskId) + (BigInt(laterMs) << lowBits)).toString();
}

/** The 18-digit owner in file URLs. */
export function ownerIdOf(accountId: string): string {
  const digits = BigInt(`0x${seededHex(0, 'owner', accountId).slice(0, 16)}`) % 10n ** 17n;
  return `1${digits.toString().padStart(17, '0')}`;
}

/** `<32 hex>-<uuid>.mp4`, the last segment of a file URL. */
export function fileNameOf(taskId: string, seed: number): string {
  const hex = seededHex(seed, 'file-name', taskId);
  const uuid = seededHex(seed, 'file-uuid', taskId)
    .slice(0, 32)
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, '$1-$2-4$3-a$4-$5');
  return `${hex.slice(0, 32)}-${uuid}.mp4`;
}
