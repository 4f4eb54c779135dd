import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createApp } from '../../src/api/app.ts';
import { createKeys } from '../../src/api/authentication.ts';
import { publicModels } from '../../src/catalog/public-models.ts';
import { openCdn } from '../../src/cdn/open.ts';
import { createOwnLinks } from '../../src/cdn/own-links.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { createId } from '../../src/kernel/ids.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { createHealth } from '../../src/monitoring/health.ts';
import { createLogger } from '../../src/monitoring/log.ts';
import { createWebhooks } from '../../src/videos/create-webhooks.ts';
import { dispatchFamily } from '../../src/videos/dispatch.ts';
import { moveVideo } from '../../src/videos/move.ts';
import { createDeadLetters } from '../../src/videos/replay.ts';
import { openCore, testWorkspace } from './core.ts';
import { openTestDatabase } from './database.ts';

export const publicUrl = 'https://videos.example.com';

/** The HTTP edge on the real core and a database of its own; nothing works off the queue. */
export async function openApi(settings: Parameters<typeof openCore>[1] = {}) {
  const database = await openTestDatabase();
  const core = await openCore(database, settings);
  const time = { aheadMs: 0 };
  const clock: Clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() + time.aheadMs };
  const ownLinks = createOwnLinks({ secret: new Secret('the link secret of a test'), publicUrl });
  const keys = createKeys(database);
  const health = createHealth();
  const lines: string[] = [];
  const app = createApp({
    videos: core.videos,
    webhooks: createWebhooks(core.context, { allowLoopback: true }),
    deadLetters: createDeadLetters(core.context),
    budgets: core.budgets,
    keys,
    blobs: core.blobs,
    cdn: await openCdn({ driver: 'own', links: 'api' }, { links: ownLinks, clock, signGet: core.blobs.signGet }),
    ownLinks,
    findVideoWorkspace: async (id) => {
      const find = database.kysely.selectFrom('videos').select('workspace_id').where('id', '=', id);
      return (await find.executeTakeFirst())?.workspace_id;
    },
    models: publicModels({ defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null }),
    listPools: () => Promise.resolve([]),
    health,
    clock,
    log: createLogger({
      level: 'info',
      format: 'json',
      destination: { write: (line: string) => void lines.push(line) },
    }),
    options: {
      publicUrl,
      provider: 'sandbox',
      bodyLimitBytes: 64 * 1024,
      linkSeconds: 3_600,
      version: '0.0.0',
      closeGraceMs: 200,
    },
  });
  const { key } = await keys.create(testWorkspace, 'test');
  await database.kysely.insertInto('workspaces').values({ id: 'ws_other', name: 'Other' }).execute();
  const other = await keys.create('ws_other', 'other');
  const authorization = { authorization: `Bearer ${key}` };
  await app.ready();
  return {
    app,
    core,
    database,
    health,
    /** What was logged. */
    lines,
    authorization,
    otherAuthorization: { authorization: `Bearer ${other.key}` },
    /** Moves the clock that links are made and checked with. */
    passTime: (ms: number) => void (time.aheadMs += ms),
    /** Listens on a free port; for streams, which inject cannot follow. */
    async listen(): Promise<string> {
      await app.listen({ host: '127.0.0.1', port: 0 });
      const { port } = app.server.address() as AddressInfo; // a TCP server's
      return `http://127.0.0.1:${port}`;
    },
    async close(): Promise<void> {
      await app.close();
      await core.close();
      await database.close();
    },
  };
}

export type TestApi = Awaited<ReturnType<typeof openApi>>;

/** Waits for a condition with a generous ceiling. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await delay(5);
  }
}

/**
 * Ends a queued video as the worker would, with a file of these bytes in the store.
 * @param to `canceled`: the user stopped it while Kling had it, and the paid file came later
 */
export async function deliverVideo(
  { core, database }: TestApi,
  id: string,
  content: Buffer,
  to: 'completed' | 'canceled' = 'completed',
): Promise<void> {
  for (const family of new Set(core.asked)) await dispatchFamily(core.context, family);
  const attempt = await database.kysely
    .selectFrom('attempts')
    .select(['id', 'number'])
    .where('video_id', '=', id)
    .executeTakeFirstOrThrow();
  const storageKey = `videos/${id}/${attempt.number}.mp4`;
  const put = { contentType: 'video/mp4', bytes: content.length, signal: AbortSignal.timeout(10_000) };
  const { sha256, etag } = await core.blobs.put(storageKey, Readable.from([content]), put);
  const moves = to === 'completed' ? (['generating', 'archiving', 'completed'] as const) : (['canceled'] as const);
  await inTransaction(database, async ({ trx, afterCommit }) => {
    await trx
      .insertInto('files')
      .values({
        id: createId('file'),
        video_id: id,
        attempt_id: attempt.id,
        workspace_id: testWorkspace,
        state: 'stored',
        source_url: 'https://p1.kling.example/secret.mp4',
        storage_key: storageKey,
        bytes: content.length,
        seconds: 5,
        width: 1280,
        height: 720,
        sha256,
        etag,
        last_error: null,
        poster_key: null,
        created_at: new Date(),
      })
      .execute();
    for (const state of moves) {
      const set = state === moves.at(-1) ? { charged_credits: '1.5' } : {};
      await moveVideo(core.context, trx, { videoId: id, attemptNumber: attempt.number, to: state, set });
    }
    await trx.updateTable('attempts').set({ state: 'ended' }).where('id', '=', attempt.id).execute();
    afterCommit(() => core.context.events.notify());
  });
}
