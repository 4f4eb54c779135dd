import { asError } from '../kernel/errors.ts';
import { StorageError } from './storage-error.ts';

/** What is known of the place that failed; neither is secret. */
export interface GcsPlace {
  readonly bucket: string;
  /** Host and port of the endpoint, or `Google Cloud Storage`. */
  readonly host: string;
}

type Explanation = readonly [StorageError['reason'], (place: GcsPlace) => string];

const denied: Explanation = [
  'denied',
  ({ bucket }) => `the credentials may not do that in bucket ${bucket}; check their roles`,
];
const busy: Explanation = ['unavailable', ({ host }) => `${host} is busy or failing`];
const unreachable: Explanation = ['unavailable', ({ host }) => `${host} cannot be reached`];
const broken: Explanation = ['unavailable', ({ host }) => `${host} broke the connection`];
const silent: Explanation = ['unavailable', ({ host }) => `${host} did not answer in time`];

/** By the HTTP status of an answer, or by the code of a failure to get one. */
const explanations: Readonly<Record<string, Explanation>> = {
  401: ['denied', ({ host }) => `${host} does not accept the credentials`],
  403: denied,
  404: ['unavailable', ({ bucket, host }) => `there is no bucket ${bucket} at ${host}`],
  408: busy,
  429: busy,
  ECONNREFUSED: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  UND_ERR_CONNECT_TIMEOUT: unreachable,
  ENOTFOUND: ['unavailable', ({ host }) => `the name of ${host} is not known`],
  EAI_AGAIN: ['unavailable', ({ host }) => `the name of ${host} could not be looked up`],
  ECONNRESET: broken,
  EPIPE: broken,
  UND_ERR_SOCKET: broken,
  ETIMEDOUT: silent,
  UND_ERR_HEADERS_TIMEOUT: silent,
  UND_ERR_BODY_TIMEOUT: silent,
  TimeoutError: silent,
};

/**
 * The typed form of a request that failed; a StorageError passes unchanged. The text names the code, the bucket and the host,
 * and no name of a file, credential or address of an upload.
 * @param doing what failed, as in "storing a file"
 */
export function gcsError(error: unknown, doing: string, place: GcsPlace): StorageError {
  if (error instanceof StorageError) return error;
  const code = codeOf(error);
  const [reason, explain] = explanations[code] ?? [
    'unavailable',
    code === 'Error' && /credentials/i.test(asError(error).message)
      ? () => 'there are no credentials'
      : ({ host }: GcsPlace) => `${host} failed`,
  ];
  const what = /^\d+$/.test(code) ? `HTTP ${code}` : code;
  const text = `${doing} failed: ${explain(place)} (${what}).`;
  return new StorageError(reason, text.charAt(0).toUpperCase() + text.slice(1), error);
}

/** True when the answer says that there is no such file. A missing bucket looks the same; opening the store has seen it. */
export function isMissingFile(error: unknown): boolean {
  return codeOf(error) === '404';
}

/** An answer other than the one expected, of a request that the SDK did not make. */
export class GcsStatusError extends Error {
  override readonly name = 'GcsStatusError';
  readonly code: number;
  constructor(status: number) {
    super(`HTTP ${status}`);
    this.code = status;
  }
}

/** The innermost status or code, since the SDK wraps what its own transport threw. */
function codeOf(error: unknown): string {
  let found = asError(error).name;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code, status } = cause as Error & { readonly code?: unknown; readonly status?: unknown }; // of Node and the SDK
    if (typeof status === 'number') return String(status);
    if (typeof code === 'number' || typeof code === 'string') found = String(code);
  }
  return found;
}
