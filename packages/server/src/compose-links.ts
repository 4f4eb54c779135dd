import { createContentLinks, type ContentLinks } from './api/content-links.ts';
import type { Cdn } from './cdn/cdn.ts';
import { openCdn } from './cdn/open.ts';
import { createOwnLinks, type OwnLinks } from './cdn/own-links.ts';
import type { Config } from './config.ts';
import { ensureInstallationSecret } from './db/installation-secret.ts';
import type { Database } from './db/database.ts';
import { systemClock } from './kernel/clock.ts';
import type { Logger } from './monitoring/log.ts';
import type { BlobStore } from './storage/blob-store.ts';
import type { LinkTo } from './worker/delivery-payload.ts';

export interface Links {
  readonly cdn: Cdn;
  readonly ownLinks: OwnLinks;
  readonly content: ContentLinks;
}

/** @param publicUrl where viewers reach the api; null only where no link leads there */
export async function composeLinks(
  config: Config,
  { kysely }: Database,
  blobs: BlobStore,
  publicUrl: string | null,
): Promise<Links> {
  const secret = await ensureInstallationSecret(kysely, 'links');
  const ownLinks = createOwnLinks({ secret, publicUrl: publicUrl ?? '' });
  const cdn = await openCdn(config.cdn, { links: ownLinks, clock: systemClock, signGet: blobs.signGet });
  const options = { linkSeconds: Math.round(config.http.linkLifetimeMs / 1_000) };
  return { cdn, ownLinks, content: createContentLinks({ cdn, ownLinks, clock: systemClock, options }) };
}

/** Links for what a worker tells of. One that does not know where viewers reach the api sends none, and says so at start. */
export async function composeLinkTo(
  config: Config,
  database: Database,
  blobs: BlobStore,
  publicUrl: string | null,
  log: Logger,
): Promise<LinkTo> {
  const { cdn, storage } = config;
  const leadToApi = cdn.driver === 'own' && (cdn.links === 'api' || storage.driver === 'fs');
  if (leadToApi && publicUrl === null) {
    log.warn('webhooks and events of this worker carry no video_url: set PUBLIC_URL to the address of the api');
    return () => Promise.resolve(null);
  }
  const { content } = await composeLinks(config, database, blobs, publicUrl);
  return (video, file) => content.sign(video, file, 'content');
}
