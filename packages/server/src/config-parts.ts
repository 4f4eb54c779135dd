import path from 'node:path';
import type { Variables } from './config-variables.ts';
import type { CdnConfig } from './cdn/open.ts';
import type { PgliteOptions, PostgresOptions } from './db/database.ts';
import type { PubSubQueueOptions, RedisQueueOptions, SqsQueueOptions } from './queue/open.ts';
import type { RedisConfig } from './redis/config.ts';
import type { BlobStoreConfig } from './storage/open.ts';

export type DatabaseConfig = (PgliteOptions & { readonly directory: string }) | PostgresOptions;

/** What each engine needs, without what only a running process has. */
export type QueueConfig =
  | { readonly driver: 'postgres' }
  | Pick<RedisQueueOptions, 'driver' | 'urls' | 'prefix'>
  | Pick<SqsQueueOptions, 'driver' | 'prefix' | 'region' | 'endpoint'>
  | Pick<PubSubQueueOptions, 'driver' | 'prefix' | 'projectId' | 'emulatorHost'>;

export interface Parts {
  readonly database: DatabaseConfig;
  readonly queue: QueueConfig;
  readonly storage: BlobStoreConfig;
  readonly cdn: CdnConfig;
  readonly redisEvents: RedisConfig | null;
}

/** The parts that variables choose. The rules have made sure that what a part needs is there. */
export function buildParts(variables: Variables, dataDirectory: string): Parts {
  const redis = variables.REDIS_URL && { urls: variables.REDIS_URL, prefix: variables.REDIS_PREFIX };
  return {
    database: buildDatabase(variables, dataDirectory),
    queue: buildQueue(variables, redis),
    storage: buildStorage(variables, dataDirectory),
    cdn: buildCdn(variables),
    redisEvents: redis,
  };
}

function buildDatabase(variables: Variables, dataDirectory: string): DatabaseConfig {
  if (!variables.DATABASE_URL) return { driver: 'pglite', directory: path.join(dataDirectory, 'database') };
  return {
    driver: 'postgres',
    url: variables.DATABASE_URL,
    maxConnections: variables.DATABASE_CONNECTIONS,
    tls: variables.DATABASE_TLS,
    caFile: variables.DATABASE_CA_FILE,
    connectTimeoutMs: variables.DATABASE_CONNECT_TIMEOUT,
    statementTimeoutMs: variables.DATABASE_STATEMENT_TIMEOUT,
  };
}

function buildQueue(variables: Variables, redis: RedisConfig | null): QueueConfig {
  const { SQS_QUEUE_PREFIX: sqsPrefix, PUBSUB_TOPIC_PREFIX: pubsubPrefix, AWS_REGION: region } = variables;
  const engine = variables.QUEUE_ENGINE ?? (sqsPrefix ? 'sqs' : pubsubPrefix ? 'pubsub' : redis ? 'redis' : 'postgres');
  if (engine === 'redis' && redis) return { driver: 'redis', ...redis };
  if (engine === 'sqs' && sqsPrefix && region) {
    return { driver: 'sqs', prefix: sqsPrefix, region, endpoint: variables.SQS_ENDPOINT };
  }
  if (engine === 'pubsub' && pubsubPrefix) {
    const { GOOGLE_CLOUD_PROJECT: projectId, PUBSUB_EMULATOR_HOST: emulatorHost } = variables;
    return { driver: 'pubsub', prefix: pubsubPrefix, projectId, emulatorHost };
  }
  return { driver: 'postgres' };
}

function buildStorage(variables: Variables, dataDirectory: string): BlobStoreConfig {
  if (variables.S3_BUCKET) return buildS3(variables, variables.S3_BUCKET);
  if (variables.GCS_BUCKET) {
    return {
      driver: 'gcs',
      bucket: variables.GCS_BUCKET,
      prefix: variables.GCS_PREFIX,
      projectId: variables.GOOGLE_CLOUD_PROJECT,
      endpoint: variables.GCS_ENDPOINT,
    };
  }
  return { driver: 'fs', directory: path.join(dataDirectory, 'files') };
}

/** Servers other than Amazon's are often reached by a path, and refuse checksums that they do not need. */
function buildS3(variables: Variables, bucket: string): BlobStoreConfig {
  const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = variables;
  return {
    driver: 's3',
    bucket,
    prefix: variables.S3_PREFIX,
    region: variables.AWS_REGION ?? 'us-east-1',
    endpoint,
    linkEndpoint: variables.S3_LINK_ENDPOINT,
    pathStyle: variables.S3_PATH_STYLE === null ? endpoint !== null : variables.S3_PATH_STYLE === 'on',
    checksums: variables.S3_CHECKSUMS ?? (endpoint === null ? 'supported' : 'required'),
    encryption: variables.S3_ENCRYPTION,
    kmsKeyId: variables.S3_KMS_KEY_ID,
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : null,
  };
}

function buildCdn(variables: Variables): CdnConfig {
  const { CDN_DRIVER: driver, CDN_URL: url, CDN_KEY_ID: keyId, CDN_KEY: key, CDN_PRIVATE_KEY_FILE: file } = variables;
  const prefix = variables.S3_BUCKET ? variables.S3_PREFIX : variables.GCS_PREFIX;
  const privateKey = variables.CDN_PRIVATE_KEY ?? (file === null ? null : { file });
  if (driver === 'cloudfront' && url && keyId && privateKey)
    return { driver, url, keyPairId: keyId, privateKey, prefix };
  if (driver === 'cloudcdn' && url && keyId && key) return { driver, url, keyName: keyId, key, prefix };
  return { driver: 'own', links: variables.CDN_OWN_LINKS };
}
