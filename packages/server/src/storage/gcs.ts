import type { BlobStore } from './blob-store.ts';
import type { GcsConfig } from './open.ts';

export async function openGcsBlobStore(config: GcsConfig): Promise<BlobStore> {
  throw new Error(`${config.driver} comes in a moment`);
}
