import { ensureBudget } from '../../src/budget/create-budgets.ts';
import { createBudgets } from '../../src/budget/create-budgets.ts';
import { expectedGenerationMs } from '../../src/catalog/durations.ts';
import type { VideoRequest } from '../../src/catalog/request.ts';
import type { Database } from '../../src/db/database.ts';
import { credits } from '../../src/kernel/money.ts';
import { openQueue } from '../../src/queue/open.ts';
import { createGenerationsReader, registerAccount } from '../../src/scheduling/accounts.ts';
import { createDurations } from '../../src/scheduling/durations.ts';
import { createFlowRegistry } from '../../src/scheduling/families.ts';
import { openBlobStore } from '../../src/storage/open.ts';
import type { VideosContext, VideosOptions } from '../../src/videos/context.ts';
import { createSignal } from '../../src/videos/events.ts';
import { createVideos } from '../../src/videos/create-videos.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const testWorkspace = 'ws_default';

export interface CoreSettings {
  readonly slots?: number;
  readonly limit?: string | null;
  /** Where the account's calls go; nothing listens there unless it is given. */
  readonly host?: string;
  readonly options?: Partial<VideosOptions>;
}

/** The parts of the platform around one database, with nothing running: tests call the moves one by one. */
export async function openCore(database: Database, settings: CoreSettings = {}) {
  const queue = await openQueue({ driver: 'postgres', database });
  const filesDirectory = await mkdtemp(join(tmpdir(), 'dailies-files-'));
  const blobs = await openBlobStore({ driver: 'fs', directory: filesDirectory });
  const durations = createDurations(database.kysely, () => performance.now(), 0);
  const options: VideosOptions = {
    provider: 'sandbox',
    defaultModel: 'kling-2.6',
    retiredModels: 'accept',
    generations: null,
    leaseMs: 60_000,
    postTimeoutMs: 30_000,
    readTimeoutMs: 15_000,
    settleDelayMs: 60_000,
    afterDoubt: 'resend',
    pollFloorMs: 1_000,
    abandonAfterMs: 24 * 3_600_000,
    redisEvents: false,
    archiveRetryMs: { baseMs: 60_000, capMs: 6 * 3_600_000 },
    ...settings.options,
  };
  const asked: string[] = [];
  const context: VideosContext = {
    database,
    queue,
    durations,
    flows: createFlowRegistry(database.kysely),
    readGenerations: createGenerationsReader(database.kysely, 'sandbox', () => performance.now(), 0),
    events: createSignal(),
    requestDispatch: (families) => void asked.push(...families),
    wakePoller: () => false,
    expectedOf: (request: VideoRequest) => durations.expect(request, 'sandbox', expectedGenerationMs(request)),
    callbackUrl: () => null,
    log: () => {},
    random: () => 0.5,
    options,
  };
  await database.kysely
    .insertInto('workspaces')
    .values({ id: testWorkspace, name: 'Default' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const limit = settings.limit == null ? null : credits(settings.limit);
  await ensureBudget(database.kysely, testWorkspace, 'sandbox', limit);
  await registerAccount(database, {
    id: 'main',
    provider: 'sandbox',
    host: settings.host ?? 'http://127.0.0.1:9',
    generations: ['legacy', 'standard'],
    credentialsFingerprint: 'test',
    capacity: settings.slots ?? 3,
    models: ['kling-2.6', 'kling-3.0', 'kling-v2-master'],
    packType: 'video',
  });
  const budgets = createBudgets(database.kysely, 'sandbox');
  const videos = createVideos(context, { budgets, blobs });
  return {
    context,
    videos,
    budgets,
    blobs,
    filesDirectory,
    /** Families whose dispatch was asked for. */
    asked,
    async create(body: Record<string, unknown> = {}, idempotencyKey: string | null = null): Promise<string> {
      const render = (video: { id: string }) => ({ id: video.id });
      const created = await videos.create(
        { prompt: 'a red fox', ...body },
        { workspaceId: testWorkspace, idempotencyKey, render },
      );
      return created.videoId;
    },
    async close() {
      await queue.close();
      await blobs.close();
      await rm(filesDirectory, { recursive: true, force: true });
    },
  };
}
