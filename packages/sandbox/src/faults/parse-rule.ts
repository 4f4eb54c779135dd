import { isObject } from '../wire/fields.ts';
import { faultCatalogue } from './catalogue.ts';
import type { FaultMatch, FaultRule } from './rules.ts';

/** A fault rule that says something impossible; the message names field, rule and fix. */
export class FaultRequestError extends Error {
  override readonly name = 'FaultRequestError';
}

const known = new Set(['fault', 'count', 'rate', 'call', 'delay_ms', 'times', 'match']);
const knownMatch = ['model', 'prompt', 'external_id'] as const;
const calls = ['create', 'query', 'list', 'costs', 'file'] as const;

/**
 * Reads the body of `POST /_sandbox/faults`. Without `count` and `rate` the fault strikes once.
 * @throws FaultRequestError
 */
export function parseFaultRule(body: unknown, id: number): FaultRule {
  const rule = parseJson(body);
  for (const name of Object.keys(rule)) demand(known.has(name), `${name} is not known; use ${[...known].join(', ')}`);
  const entry = faultCatalogue.get(String(rule['fault']));
  if (!entry) throw new FaultRequestError(`fault must be one of ${[...faultCatalogue.keys()].join(', ')}`);
  const call = calls.find((each) => each === (rule['call'] ?? 'create'));
  if (!call) throw new FaultRequestError(`call must be one of ${calls.join(', ')}`);
  const worksOnReads = entry.phase === 'refuse' || entry.name === 'slow_headers';
  demand(call === 'create' || worksOnReads, `fault ${entry.name} strikes creates only; leave call out`);
  const match = readMatch(rule['match'] ?? {});
  demand(call === 'create' || Object.keys(match).length === 0, 'match looks at creates only; leave it out for reads');
  const rate = readNumber(rule, 'rate', { max: 1, whole: false });
  const count = readNumber(rule, 'count', { max: 1e9, whole: true });
  const delayMs = readNumber(rule, 'delay_ms', { max: 3_600_000, whole: true });
  return {
    id,
    fault: entry.name,
    count: count ?? (rate === undefined ? 1 : null),
    rate: rate ?? 1,
    call,
    times: rule['times'] === null ? null : (readNumber(rule, 'times', { max: 1e6, whole: true }) ?? 1),
    match,
    ...(delayMs === undefined ? {} : { delay_ms: delayMs }),
  };
}

function parseJson(body: unknown): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(String(body));
  } catch (error) {
    throw new FaultRequestError('the body is not JSON', { cause: error });
  }
  if (!isObject(value)) throw new FaultRequestError('the body must be a JSON object');
  return value;
}

function readNumber(
  rule: Record<string, unknown>,
  name: string,
  limits: { max: number; whole: boolean },
): number | undefined {
  const value = rule[name];
  if (value === undefined) return undefined;
  const fits =
    typeof value === 'number' && value >= 0 && value <= limits.max && (!limits.whole || Number.isInteger(value));
  if (!fits)
    throw new FaultRequestError(`${name} must be a ${limits.whole ? 'whole ' : ''}number from 0 to ${limits.max}`);
  return value;
}

function readMatch(match: unknown): FaultMatch {
  if (!isObject(match)) throw new FaultRequestError('match must be an object');
  for (const [name, value] of Object.entries(match)) {
    demand(
      knownMatch.some((each) => each === name),
      `match.${name} is not known; use ${knownMatch.join(', ')}`,
    );
    demand(typeof value === 'string' && value !== '', `match.${name} must be a text`);
  }
  return match; // every member was checked above
}

function demand(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new FaultRequestError(rule);
}
