import { GetObjectCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from './open.ts';
import { codeOf, isMissingFile, s3Error, type S3Place } from './s3-error.ts';

const connectTimeoutMs = 5_000;
/** A connection that is silent for so long is dead; a viewer who pauses for longer asks again, by range. */
const idleTimeoutMs = 60_000;
/** Of requests without a body. An upload is never repeated here: its stream is gone, and whoever ordered it orders it again. */
const maxAttempts = 3;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export function createS3Client(config: S3Config, options: { readonly endpoint: string | null }): S3Client {
  const { credentials, region, pathStyle, checksums } = config;
  const agent = { keepAlive: true, maxSockets: Infinity }; // callers bound how much they do at once
  const mode = checksums === 'required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    maxAttempts,
    logger: silent, // what goes wrong is thrown, and logged by whoever knows what it was for
    requestChecksumCalculation: mode,
    responseChecksumValidation: mode,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: idleTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    ...(credentials === null
      ? {}
      : {
          credentials: {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey.reveal(),
          },
        }),
  });
}

export function placeOf({ bucket, region, endpoint }: S3Config): S3Place {
  return { bucket, region, host: endpoint === null ? 'Amazon S3' : new URL(endpoint).host };
}

/**
 * Checks that the bucket answers to these credentials in this region. A policy that forbids to look at the bucket itself is
 * fine. Writing is not tried: a bucket may refuse it for a while, and then files wait for it.
 * @throws StorageError
 */
export async function checkBucket(client: S3Client, config: S3Config): Promise<void> {
  const place = placeOf(config);
  try {
    await client.send(new HeadBucketCommand({ Bucket: config.bucket }));
  } catch (error) {
    // An answer without a body tells little; that to the read of a file which is not there names its cause.
    if (!hasStatus(error)) throw s3Error(error, 'opening the store', place);
    const probe = new GetObjectCommand({ Bucket: config.bucket, Key: `${config.prefix}.dailies-probe` });
    const cause = await client.send(probe).then(
      () => undefined,
      (second: unknown) => second,
    );
    if (cause === undefined || codeOf(cause) === 'AccessDenied' || isMissingFile(cause)) return;
    throw s3Error(cause, 'opening the store', place);
  }
}

function hasStatus(error: unknown): boolean {
  return error instanceof Error && '$response' in error && error.$response !== undefined;
}
