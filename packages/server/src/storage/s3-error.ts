import { asError } from '../kernel/errors.ts';
import { StorageError } from './storage-error.ts';

/** What is known of the place that failed; neither is secret. */
export interface S3Place {
  readonly bucket: string;
  readonly region: string;
  /** Host and port of the endpoint, or `Amazon S3`. */
  readonly host: string;
}

type Explanation = readonly [StorageError['reason'], (place: S3Place) => string];

const wrongRegion: Explanation = [
  'unavailable',
  ({ bucket, region }) => `bucket ${bucket} is not in the region ${region}; set the region that it is in`,
];
const noBucket: Explanation = ['unavailable', ({ bucket, host }) => `there is no bucket ${bucket} at ${host}`];
const denied: Explanation = ['denied', ({ bucket }) => `bucket ${bucket} does not allow it; check its policy`];
const badCredentials: Explanation = ['denied', ({ host }) => `${host} does not accept the credentials`];
const noCredentials: Explanation = ['denied', () => 'there are no credentials'];
const full: Explanation = ['full', ({ bucket }) => `bucket ${bucket} or the quota of its owner is full`];
const busy: Explanation = ['unavailable', ({ host }) => `${host} is busy or failing`];
const unreachable: Explanation = ['unavailable', ({ host }) => `${host} cannot be reached`];

/** By the code of S3's answer, or of Node's failure to get one. */
const explanations: Readonly<Record<string, Explanation>> = {
  NoSuchBucket: noBucket,
  PermanentRedirect: wrongRegion,
  TemporaryRedirect: wrongRegion,
  AuthorizationHeaderMalformed: wrongRegion,
  IllegalLocationConstraintException: wrongRegion,
  AccessDenied: denied,
  AllAccessDisabled: denied,
  AccountProblem: denied,
  MethodNotAllowed: denied,
  'KMS.DisabledException': ['denied', () => 'the encryption key is disabled'],
  'KMS.NotFoundException': ['denied', () => 'there is no such encryption key'],
  InvalidAccessKeyId: badCredentials,
  SignatureDoesNotMatch: badCredentials,
  ExpiredToken: badCredentials,
  InvalidToken: badCredentials,
  RequestTimeTooSkewed: ['unavailable', ({ host }) => `the clock here differs too much from that of ${host}`],
  CredentialsProviderError: noCredentials,
  QuotaExceeded: full,
  InsufficientStorage: full,
  XMinioStorageFull: full,
  EntityTooLarge: ['full', ({ host }) => `the file is larger than ${host} allows`],
  SlowDown: busy,
  ServiceUnavailable: busy,
  InternalError: busy,
  RequestTimeout: busy,
  TimeoutError: ['unavailable', ({ host }) => `${host} did not answer in time`],
  ETIMEDOUT: ['unavailable', ({ host }) => `${host} did not answer in time`],
  ECONNREFUSED: unreachable,
  ECONNRESET: ['unavailable', ({ host }) => `${host} broke the connection`],
  EPIPE: ['unavailable', ({ host }) => `${host} broke the connection`],
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOTFOUND: ['unavailable', ({ host }) => `the name of ${host} is not known`],
  EAI_AGAIN: ['unavailable', ({ host }) => `the name of ${host} could not be looked up`],
};

/** Answers to HEAD have no body and so no code. */
const byStatus: Readonly<Record<number, Explanation>> = {
  301: wrongRegion,
  307: wrongRegion,
  401: badCredentials,
  403: denied,
  507: full,
};

/**
 * The typed form of a request that failed; a StorageError passes unchanged. The text names the code, the bucket and the host,
 * and no key, credential or address of a file.
 * @param doing what failed, as in "storing a file"
 */
export function s3Error(error: unknown, doing: string, place: S3Place): StorageError {
  if (error instanceof StorageError) return error;
  const code = codeOf(error);
  const status = statusOf(error);
  const [reason, explain] = explanations[code] ??
    byStatus[status ?? 0] ?? ['unavailable', ({ host }: S3Place) => `${host} failed`];
  const what = status === undefined ? code : `${code}, HTTP ${status}`;
  const text = `${doing} failed: ${explain(place)} (${what}).`;
  return new StorageError(reason, text.charAt(0).toUpperCase() + text.slice(1), error);
}

/** True when the answer says that there is no such file. */
export function isMissingFile(error: unknown): boolean {
  const code = codeOf(error);
  // A HEAD of a missing bucket looks the same; opening the store has seen the bucket.
  return code === 'NoSuchKey' || code === 'NotFound';
}

/** The name that S3 gives a failure, or Node's code of one below HTTP. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const thrown = asError(error);
  // The SDK gives every broken connection the name of a time-out.
  const isOfNode = ['Error', 'TypeError', 'TimeoutError'].includes(thrown.name);
  return isOfNode && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const { $metadata } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number } }; // of the SDK's errors
  return $metadata?.httpStatusCode;
}
