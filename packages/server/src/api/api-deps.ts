import type { Budgets } from '../budget/budgets.ts';
import type { PublicModel } from '../catalog/public-models.ts';
import type { Cdn } from '../cdn/cdn.ts';
import type { OwnLinks } from '../cdn/own-links.ts';
import type { Provider } from '../db/tables.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Health } from '../monitoring/health.ts';
import type { Logger } from '../monitoring/log.ts';
import type { PoolRecord } from '../scheduling/pools.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { DeadLetters } from '../videos/replay.ts';
import type { Videos } from '../videos/videos.ts';
import type { Webhooks } from '../videos/webhooks.ts';
import type { Keys } from './authentication.ts';
import type { AnsweredRequest } from './request-log.ts';

/** Everything the HTTP edge calls. It opens nothing itself and owns nothing but its streams. */
export interface ApiDeps {
  readonly videos: Videos;
  readonly webhooks: Webhooks;
  readonly deadLetters: DeadLetters;
  readonly budgets: Budgets;
  readonly keys: Keys;
  readonly blobs: BlobStore;
  readonly cdn: Cdn;
  /** Checks the links that `cdn` makes to our own content route. */
  readonly ownLinks: OwnLinks;
  /** The workspace of a video whose link is being checked; undefined for an unknown id. Shows nothing to the caller. */
  readonly findVideoWorkspace: (videoId: string) => Promise<string | undefined>;
  /** Newest first. */
  readonly models: readonly PublicModel[];
  /** Accounts' pools, without anything secret. */
  readonly listPools: () => Promise<readonly PoolRecord[]>;
  readonly health: Pick<Health, 'live' | 'ready'>;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Told of every answer, for counting; must not throw. */
  readonly onAnswer?: (answer: AnsweredRequest) => void;
  /** Told how many more event streams are open: 1 or -1. */
  readonly onStreams?: (by: 1 | -1) => void;
  readonly options: ApiOptions;
}

export interface ApiOptions {
  /** Where clients reach this server, without a slash at the end: signed links and problem types begin with it. */
  readonly publicUrl: string;
  /** Who makes the videos that are accepted now. */
  readonly provider: Provider;
  readonly bodyLimitBytes: number;
  /** How long a signed link works. */
  readonly linkSeconds: number;
  readonly version: string;
  /** How long closing waits for answers under way before it cuts them; 5 seconds unless said. */
  readonly closeGraceMs?: number;
}
