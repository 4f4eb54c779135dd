import type { BlobStore } from './blob-store.ts';
import { createFsBlobStore } from './fs.ts';

/** Which store, and what that store needs. */
export type BlobStoreConfig = {
  readonly driver: 'fs';
  /** Created when it is missing. */
  readonly directory: string;
};

/**
 * Opens the configured store, ready for use; its `close` belongs on the release stack.
 * @throws StorageError when it cannot be used
 */
export function openBlobStore(config: BlobStoreConfig): Promise<BlobStore> {
  switch (config.driver) {
    case 'fs':
      return createFsBlobStore(config);
    default:
      return config.driver satisfies never;
  }
}
