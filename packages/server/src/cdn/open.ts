import type { Clock } from '../kernel/clock.ts';
import type { Cdn } from './cdn.ts';
import type { OwnLinks } from './own-links.ts';
import { createOwnCdn } from './own.ts';

/** Which delivery, and what it needs. */
export type CdnConfig = { readonly driver: 'own' };

/** Opens the configured delivery. */
export function openCdn(config: CdnConfig, deps: { readonly links: OwnLinks; readonly clock: Clock }): Cdn {
  switch (config.driver) {
    case 'own':
      return createOwnCdn(deps);
    default:
      return config.driver satisfies never;
  }
}
