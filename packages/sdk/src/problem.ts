import { DailiesError, type Mistake } from './errors.ts';
import { retryAfterMs } from './retry.ts';

/** Reads the problem document of a refusing answer; anything else (a proxy's page) becomes `http_<status>`. */
export async function errorFromResponse(response: Response): Promise<DailiesError> {
  const problem = record(await response.json().catch(() => null));
  const code = text(problem['code']) ?? `http_${String(response.status)}`;
  const title =
    text(problem['title']) ?? `The server answered ${String(response.status)} ${response.statusText}`.trim();
  return new DailiesError(text(problem['detail']) ?? title, {
    code,
    status: response.status,
    requestId: response.headers.get('x-request-id') ?? /[^:]+$/.exec(text(problem['instance']) ?? '')?.[0] ?? null,
    errors: mistakes(problem['errors']),
    retryable: typeof problem['retryable'] === 'boolean' ? problem['retryable'] : isRetryableStatus(response.status),
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
    problem,
  });
}

export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function mistakes(value: unknown): Mistake[] {
  if (!Array.isArray(value)) return [];
  return value
    .map(record)
    .map((entry) => ({ pointer: text(entry['pointer']) ?? '', detail: text(entry['detail']) ?? '' }));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : {}; // parsed JSON: an object has string keys
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
