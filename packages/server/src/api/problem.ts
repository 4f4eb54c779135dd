import { AppError, errorCatalogue, type ErrorCode, type ErrorKind, type Mistake } from '../kernel/errors.ts';

/** The only place that turns a kind of error into an HTTP status. */
export const kindStatuses = {
  input: 400,
  unauthenticated: 401,
  budget: 402,
  forbidden: 403,
  not_found: 404,
  method: 405,
  conflict: 409,
  gone: 410,
  too_large: 413,
  media_type: 415,
  range: 416,
  rate: 429,
  internal: 500,
  provider: 502,
  unavailable: 503,
} as const satisfies Record<ErrorKind, number>;

/** An RFC 9457 problem document. Facts of the case (for example `needed` of `over_budget`) stand beside these members. */
export interface Problem {
  /** Address of the page that explains the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Names the request, for reports to the operator. */
  readonly instance: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly errors: readonly Mistake[];
  readonly [extension: string]: unknown;
}

export const problemMediaType = 'application/problem+json';

/**
 * The problem document of an expected error. What is no `AppError`, and whatever is our own fault, says nothing about
 * its cause: that is in the log, under the request id.
 */
export function createProblem(error: unknown, requestId: string, errorsPage: string): Problem {
  const known = error instanceof AppError && kindStatuses[error.kind] !== 500 ? error : undefined;
  const code = known?.code ?? 'internal';
  const { kind, title, retryable } = errorCatalogue[code];
  const { errors = [], ...facts } = known?.data ?? {};
  return {
    ...facts,
    type: `${errorsPage}#${code}`,
    title,
    status: kindStatuses[kind],
    detail: known?.message ?? 'An unexpected error was logged under the request id of this answer.',
    instance: `urn:dailies:request:${requestId}`,
    code,
    retryable,
    errors: errors.length > 0 ? errors : placeOf(kind, code),
  };
}

/** Where in the request the cause is, when the error itself does not say: every refusal has a pointer and a fix. */
const places: Partial<Record<ErrorKind, string>> = {
  unauthenticated: 'header:Authorization',
  forbidden: '?signature',
  budget: '',
  not_found: 'path',
  method: 'method',
  conflict: 'path',
  gone: 'path',
  too_large: '',
  media_type: 'header:Content-Type',
  range: 'header:Range',
};

function placeOf(kind: ErrorKind, code: ErrorCode): readonly Mistake[] {
  const pointer = places[kind];
  return pointer === undefined ? [] : [{ pointer, detail: errorCatalogue[code].help }];
}
