import { createHmac } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { addressOf, expiryOf } from './bucket-path.ts';
import type { Cdn } from './cdn.ts';
import type { CloudCdnConfig } from './open.ts';

/**
 * Delivery by Google Cloud CDN. A link is the file's address with `Expires`, `KeyName` and the HMAC-SHA1 of all before it, as Google
 * describes signed URLs; the edge checks it without asking anybody. Such a link cannot name the saved copy: Cloud CDN would take
 * a further parameter for another file.
 */
export function openCloudCdn(config: CloudCdnConfig, deps: { readonly clock: Clock }): Promise<Cdn> {
  const key = (): Buffer => Buffer.from(config.key.reveal(), 'base64url');
  return Promise.resolve({
    linkTo({ fileKey, expiresInSeconds }) {
      const expires = expiryOf(deps.clock.wallMs(), expiresInSeconds);
      const name = encodeURIComponent(config.keyName);
      const unsigned = `${addressOf(config, fileKey)}?Expires=${expires}&KeyName=${name}`;
      const signature = createHmac('sha1', key()).update(unsigned).digest('base64');
      // Google's alphabet of base64url keeps the padding.
      return Promise.resolve(`${unsigned}&Signature=${signature.replaceAll('+', '-').replaceAll('/', '_')}`);
    },
  });
}
