import { afterAll, beforeAll, describe } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { missingS3, startS3, type S3Server } from '../../../../test/servers/s3.ts';
import { blobStoreContract } from './blob-store.contract.ts';
import { openBlobStore, type S3Config } from './open.ts';

const missing = missingS3();

describe.skipIf(missing)(`S3, on Ceph's radosgw${missing ? ` (${missing})` : ''}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3();
  }, 120_000);
  afterAll(() => server.stop());

  async function makeConfig(changes: Partial<S3Config> = {}): Promise<S3Config> {
    const { endpoint, region, credentials } = server;
    return {
      driver: 's3',
      bucket: await server.makeBucket(),
      prefix: '',
      region,
      endpoint,
      linkEndpoint: null,
      pathStyle: true,
      checksums: 'required',
      encryption: null,
      kmsKeyId: null,
      credentials: {
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: new Secret(credentials.secretAccessKey),
      },
      ...changes,
    };
  }

  blobStoreContract('s3', async () => {
    const config = await makeConfig();
    const store = await openBlobStore(config);
    return { store, reopen: () => openBlobStore(config), close: () => store.close() };
  });
});
