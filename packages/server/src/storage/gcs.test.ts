import { afterAll, beforeAll, describe } from 'vitest';
import { startGcs, type GcsServer } from '../../../../test/servers/gcs.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { openBlobStore, type GcsConfig } from './open.ts';

describe('Google Cloud Storage', () => {
  let server: GcsServer;
  beforeAll(async () => {
    server = await startGcs();
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = server.credentialsFile;
  });
  afterAll(() => server.stop());

  function makeConfig(changes: Partial<GcsConfig> = {}): GcsConfig {
    const { endpoint } = server;
    return { driver: 'gcs', bucket: server.makeBucket(), prefix: '', projectId: null, endpoint, ...changes };
  }

  blobStoreContract('gcs', async () => {
    const config = makeConfig();
    const store = await openBlobStore(config);
    return { store, reopen: () => openBlobStore(config), close: () => store.close() };
  });
});
