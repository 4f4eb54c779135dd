import type { ApiDeps } from './api-deps.ts';
import { createApp } from './app.ts';
import { createOpenApi } from './openapi.ts';

/** The OpenAPI document of the routes as they are, without a server: what docs/openapi.json holds and the SDK is held against. */
export async function describeApi(version: string): Promise<string> {
  const options = {
    publicUrl: 'http://localhost:8000',
    provider: 'sandbox',
    bodyLimitBytes: 1,
    linkSeconds: 1,
    version,
  };
  const app = createApp({ options } as unknown as ApiDeps); // the routes are described and never called
  await app.ready();
  const document = createOpenApi(app);
  await app.close();
  return `${JSON.stringify(document, null, 2)}\n`;
}
