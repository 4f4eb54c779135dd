import type { Clock } from '../kernel/clock.ts';
import type { Cdn } from './cdn.ts';
import type { CloudCdnConfig } from './open.ts';

export async function openCloudCdn(config: CloudCdnConfig, _deps: { readonly clock: Clock }): Promise<Cdn> {
  throw new Error(`${config.driver} comes in a moment`);
}
