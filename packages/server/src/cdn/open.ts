import type { Clock } from '../kernel/clock.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Cdn } from './cdn.ts';
import type { OwnLinks } from './own-links.ts';
import { createOwnCdn } from './own.ts';

/** Which delivery, and what it needs. */
export type CdnConfig = OwnCdnConfig | CloudFrontConfig | CloudCdnConfig;

export interface OwnCdnConfig {
  readonly driver: 'own';
  /** Where links lead: to our content route, or straight to the store. */
  readonly links: 'api' | 'storage';
}

export interface CloudFrontConfig {
  readonly driver: 'cloudfront';
  /** Address of the distribution; its origin is the bucket. */
  readonly url: string;
  /** Id of the public key in the distribution's key group. */
  readonly keyPairId: string;
  /** The private key (PEM), or the file that holds it. */
  readonly privateKey: Secret | { readonly file: string };
  /** Beginning of every key in the bucket. */
  readonly prefix: string;
}

export interface CloudCdnConfig {
  readonly driver: 'cloudcdn';
  /** Address of the load balancer; its backend is the bucket. */
  readonly url: string;
  readonly keyName: string;
  /** 16 bytes in base64url. */
  readonly key: Secret;
  readonly prefix: string;
}

/** A link straight to the store; undefined where the store has none. */
export type SignGet = (
  key: string,
  options: { readonly expiresInSeconds: number; readonly fileName: string },
) => Promise<string | undefined>;

export interface CdnDeps {
  readonly links: OwnLinks;
  readonly clock: Clock;
  readonly signGet: SignGet;
}

/** Opens the configured delivery. The SDK of a CDN is loaded only here. */
export async function openCdn(config: CdnConfig, deps: CdnDeps): Promise<Cdn> {
  switch (config.driver) {
    case 'own':
      return createOwnCdn(config.links === 'storage' ? deps : { links: deps.links, clock: deps.clock });
    case 'cloudfront': {
      const { openCloudFront } = await import('./cloudfront.ts');
      return openCloudFront(config, deps);
    }
    case 'cloudcdn': {
      const { openCloudCdn } = await import('./cloudcdn.ts');
      return openCloudCdn(config, deps);
    }
    default:
      return config satisfies never;
  }
}
