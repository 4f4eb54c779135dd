import type { Secret } from '../kernel/secret.ts';
import type { BlobStore } from './blob-store.ts';

/** Which store, and what that store needs. */
export type BlobStoreConfig = FsConfig | S3Config | GcsConfig;

export interface FsConfig {
  readonly driver: 'fs';
  /** Created when it is missing. */
  readonly directory: string;
}

export interface S3Config {
  readonly driver: 's3';
  readonly bucket: string;
  /** Beginning of every key in the bucket; may be empty. */
  readonly prefix: string;
  readonly region: string;
  /** Null: Amazon's own. */
  readonly endpoint: string | null;
  /** Where viewers reach the bucket; null for `endpoint`. */
  readonly linkEndpoint: string | null;
  /** The bucket in the path instead of the host name. */
  readonly pathStyle: boolean;
  readonly checksums: 'required' | 'supported';
  /** Encryption at rest that is asked for with every file; null leaves it to the bucket. */
  readonly encryption: 'AES256' | 'aws:kms' | null;
  readonly kmsKeyId: string | null;
  /** Null: those that the SDK finds. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: Secret } | null;
}

export interface GcsConfig {
  readonly driver: 'gcs';
  readonly bucket: string;
  /** Beginning of every name in the bucket; may be empty. */
  readonly prefix: string;
  /** Null: that of the credentials. */
  readonly projectId: string | null;
  readonly endpoint: string | null;
}

/**
 * Opens the configured store, ready for use; its `close` belongs on the release stack. The SDK of a store is loaded only here.
 * @throws StorageError when it cannot be used
 */
export async function openBlobStore(config: BlobStoreConfig): Promise<BlobStore> {
  switch (config.driver) {
    case 'fs': {
      const { createFsBlobStore } = await import('./fs.ts');
      return createFsBlobStore(config);
    }
    case 's3': {
      const { openS3BlobStore } = await import('./s3.ts');
      return openS3BlobStore(config);
    }
    case 'gcs': {
      const { openGcsBlobStore } = await import('./gcs.ts');
      return openGcsBlobStore(config);
    }
    default:
      return config satisfies never;
  }
}
