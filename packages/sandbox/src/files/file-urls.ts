import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FaultHit } from '../faults/catalogue.ts';
import { ownerIdOf } from '../ids.ts';
import { seededHex } from '../random.ts';
import type { Task } from '../engine/task.ts';

/** Where files live, as at Kling. */
export const filePrefix = '/bs2/upload-ylab-stunt-sgp/muse';

export interface FileUrls {
  /** The signed address of a succeeded task's file: the same one in every answer. */
  urlOf(task: Task): string;
  watermarkUrlOf(task: Task): string;
  /** What a request for this path and query may have. */
  check(path: string, query: Readonly<Record<string, unknown>>, nowMs: number): 'valid' | 'expired' | 'forged';
}

export interface FileUrlOptions {
  readonly seed: number;
  readonly lifetimeMs: number;
  /** Asked at each use: the port is known only once the sandbox listens. */
  baseUrl(): string;
  nowMs(): number;
}

/** Addresses signed in CloudFront's style: `Expires` in Unix seconds is completion plus 30 days. */
export function createFileUrls({ seed, lifetimeMs, baseUrl, nowMs }: FileUrlOptions): FileUrls {
  const key = seededHex(seed, 'url-key', '');
  const keyPairId = `K${seededHex(seed, 'key-pair', '').slice(0, 13).toUpperCase()}`;
  const sign = (path: string, expires: string): string =>
    createHmac('sha256', key)
      .update(`${path}?Expires=${expires}`)
      .digest('base64')
      .replaceAll('+', '-')
      .replaceAll('=', '_')
      .replaceAll('/', '~');

  function addressOf(task: Task, fileName: string): string {
    const { plan, updatedAtMs } = task;
    const day = new Date(plan.createdAtMs).toISOString().slice(0, 10).replaceAll('-', '');
    const path = `${filePrefix}/${ownerIdOf(plan.accountId)}/VIDEO/${day}/${fileName}`;
    const expiresMs = willSpoil(task, 'expired_url') ? nowMs() - 60_000 : updatedAtMs + lifetimeMs;
    const expires = String(Math.floor(expiresMs / 1000));
    const cacheKey = seededHex(seed, 'cache-key', plan.id).slice(0, 32);
    return (
      `${baseUrl()}${path}?cacheKey=${cacheKey}&x-kcdn-pid=112781&Expires=${expires}` +
      `&Signature=${sign(path, expires)}&Key-Pair-Id=${keyPairId}`
    );
  }

  return {
    urlOf: (task) => addressOf(task, task.fileName),
    watermarkUrlOf: (task) => addressOf(task, watermarkNameOf(task.fileName)),
    check(path, query, atMs) {
      const { Expires: expires, Signature: signature } = query;
      if (typeof expires !== 'string' || typeof signature !== 'string') return 'forged';
      const given = Buffer.from(signature);
      const right = Buffer.from(sign(path, expires));
      if (given.length !== right.length || !timingSafeEqual(given, right)) return 'forged';
      return Number(expires) * 1000 <= atMs ? 'expired' : 'valid';
    },
  };
}

/** Whether this fault of the task still has downloads to spoil. */
export function willSpoil(task: Task, name: FaultHit['name']): boolean {
  const fault = task.plan.faults.find((each) => each.name === name);
  return fault !== undefined && (fault.times === null || (task.spoilt[name] ?? 0) < fault.times);
}

const watermarkSuffix = '-wm.mp4';

function watermarkNameOf(fileName: string): string {
  return fileName.replace(/\.mp4$/, watermarkSuffix);
}

/** The plain file behind either name. */
export function plainNameOf(fileName: string): string {
  return fileName.endsWith(watermarkSuffix) ? fileName.replace(watermarkSuffix, '.mp4') : fileName;
}
