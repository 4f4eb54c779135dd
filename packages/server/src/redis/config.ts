import type { Secret } from '../kernel/secret.ts';

export interface RedisConfig {
  /** One server, or some nodes of a cluster. */
  readonly urls: readonly Secret[];
  /** Beginning of every key and channel. */
  readonly prefix: string;
}
