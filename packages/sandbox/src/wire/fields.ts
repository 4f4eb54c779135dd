import { Refusal } from './codes.ts';

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a request body. @throws Refusal 1200 when it is no JSON object */
export function parseBody(body: unknown): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : '');
  } catch {
    throw new Refusal(1200);
  }
  if (!isObject(value)) throw new Refusal(1200);
  return value;
}

/** `duration value '7' is invalid`: the wording of every value refusal that was observed. */
export function invalidValue(field: string, value: unknown): Refusal {
  return new Refusal(1201, `${field} value '${typeof value === 'string' ? value : JSON.stringify(value)}' is invalid`);
}

interface Kinds {
  string: string;
  boolean: boolean;
  number: number;
  array: unknown[];
  object: JsonObject;
}

/**
 * One field of an object; absent and null are the same. @throws Refusal 1201 when it is of another kind
 */
export function field<Kind extends keyof Kinds>(
  source: JsonObject,
  name: string,
  kind: Kind,
  path: string = name,
): Kinds[Kind] | undefined {
  const value = source[name];
  if (value === undefined || value === null) return undefined;
  const actual = Array.isArray(value) ? 'array' : typeof value;
  if (actual !== kind) throw new Refusal(1201, `${path} value type is invalid, expected ${kind}`);
  return value as Kinds[Kind]; // its kind was compared on the line above
}

/** Refuses what is not in `known`, for strict sandboxes; the live service drops such fields without a word. */
export function refuseUnknown(source: JsonObject, known: ReadonlySet<string>, prefix = ''): void {
  for (const name of Object.keys(source)) {
    if (!known.has(name)) throw new Refusal(1201, `${prefix}${name} is not a known parameter`);
  }
}

/** Characters as people count them (code points), so that an emoji is one. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** @throws Refusal 1201 when longer than allowed */
export function limitLength(name: string, text: string | undefined, max: number): void {
  if (text !== undefined && text.length > max && lengthOf(text) > max) {
    throw new Refusal(1201, `${name} length cannot exceed ${max}`);
  }
}
