import type { Task } from '../engine/task.ts';
import { Refusal } from './codes.ts';
import type { JsonObject } from './fields.ts';
import { field, invalidValue, isObject } from './fields.ts';

/** What `POST /tasks` looks for. */
export interface TaskSearch {
  readonly startMs: number;
  readonly endMs: number;
  /** Position in the account's creates before which to go on; the newest first. */
  readonly before: number;
  readonly limit: number;
  accepts(task: Task): boolean;
}

const monthMs = 30 * 86_400_000;
const statuses = new Set(['submitted', 'processing', 'succeeded', 'failed']);
const productTypes = new Set(['video', 'image', 'try_on']);

/** Reads the body of `POST /tasks`; a cursor overrides the times. @throws Refusal 1201 */
export function parseTaskSearch(body: JsonObject, nowMs: number): TaskSearch {
  const cursor = field(body, 'cursor', 'string');
  const limit = body['limit'] === undefined || body['limit'] === null ? 100 : body['limit'];
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > 500)
    throw invalidValue('limit', limit);
  const filters = readFilters(body);
  return {
    ...(cursor ? readCursor(cursor) : readTimes(body, nowMs)),
    limit,
    accepts: (task) => filters.every((fits) => fits(task)),
  };
}

/** Opaque to clients. */
export function writeCursor({ startMs, endMs }: TaskSearch, before: number): string {
  return Buffer.from([startMs, endMs, before].join('.')).toString('base64url');
}

type Span = Pick<TaskSearch, 'startMs' | 'endMs' | 'before'>;

function readCursor(cursor: string): Span {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (!match) throw invalidValue('cursor', cursor);
  return { startMs: Number(match[1]), endMs: Number(match[2]), before: Number(match[3]) };
}

function readTimes(body: JsonObject, nowMs: number): Span {
  const endMs = readTime(body, 'end_time') ?? nowMs;
  const startMs = readTime(body, 'start_time') ?? Math.max(0, endMs - monthMs);
  if (startMs >= endMs) throw new Refusal(1201, 'start_time must be less than end_time');
  return { startMs, endMs, before: Infinity };
}

/** Unix milliseconds, as a number or a numeric string. */
export function readTime(source: JsonObject, name: string): number | undefined {
  const value = source[name];
  if (value === undefined || value === null || value === '') return undefined;
  const time = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0) throw invalidValue(name, value);
  return time;
}

function readFilters(body: JsonObject): readonly ((task: Task) => boolean)[] {
  return (field(body, 'filters', 'array') ?? []).map((filter, index) => {
    const at = `filters[${index}]`;
    if (!isObject(filter)) throw new Refusal(1201, `${at} value type is invalid, expected object`);
    const key = field(filter, 'key', 'string', `${at}.key`);
    const values = field(filter, 'values', 'array', `${at}.values`) ?? [];
    const known = key === 'status' ? statuses : key === 'product_type' ? productTypes : undefined;
    if (!known) throw invalidValue(`${at}.key`, key ?? '');
    for (const value of values)
      if (typeof value !== 'string' || !known.has(value)) throw invalidValue(`${at}.values`, value);
    return ({ status }) => values.includes(key === 'status' ? status : 'video');
  });
}
