import { Secret } from '../../packages/server/src/kernel/secret.ts';
import type { S3Config } from '../../packages/server/src/storage/open.ts';
import type { S3Credentials } from './s3.ts';

/** How a store of ours is told to use a bucket of a server that is not Amazon's. */
export function s3Config(endpoint: string, bucket: string, { accessKeyId, secretAccessKey }: S3Credentials): S3Config {
  return {
    driver: 's3',
    bucket,
    prefix: '',
    region: 'us-east-1',
    endpoint,
    linkEndpoint: null,
    pathStyle: true,
    checksums: 'required',
    encryption: null,
    kmsKeyId: null,
    credentials: { accessKeyId, secretAccessKey: new Secret(secretAccessKey) },
  };
}
