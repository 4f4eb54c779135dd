import type { Budgets } from '../budget/budgets.ts';
import { AppError } from '../kernel/errors.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { VideosContext } from './context.ts';
import { createVideo, estimateVideo } from './create-video.ts';
import { cancelVideo, deleteVideo } from './end-video.ts';
import { listVideoEvents, listWorkspaceEvents } from './events.ts';
import { listVideos } from './list-videos.ts';
import { readReceipt } from './receipt.ts';
import { getVideoRow, storedRequest, toRecords } from './records.ts';
import { isFinal } from './video.ts';
import type { VideoRecord, Videos } from './videos.ts';

/** The one implementation of `Videos`. */
export function createVideos(context: VideosContext, deps: { budgets: Budgets; blobs: BlobStore }): Videos {
  const { kysely } = context.database;
  const { budgets, blobs } = deps;
  async function get(id: string, workspaceId: string): Promise<VideoRecord> {
    const [record] = await toRecords(kysely, [await getVideoRow(kysely, id, workspaceId)]);
    if (!record) throw new Error(`video ${id} was read and is gone`);
    return record;
  }
  return {
    get,
    create: (body, options) =>
      createVideo(context, body, options, { retryOf: null, overBudget: () => budgets.get(options.workspaceId) }),
    estimate: async (body, workspaceId) => estimateVideo(context, body, workspaceId, await budgets.get(workspaceId)),
    list: (filter, workspaceId) => listVideos(kysely, filter, workspaceId),
    async cancel(id, workspaceId) {
      await cancelVideo(context, id, workspaceId);
      return get(id, workspaceId);
    },
    async retry(id, options) {
      const row = await getVideoRow(kysely, id, options.workspaceId);
      if (!isFinal(row.state)) {
        const text = `The video is ${row.state} and cannot be retried yet. Only a final video can be made again.`;
        throw new AppError('state_conflict', text, { data: { video_status: row.state } });
      }
      const { metadata, priority, webhook_url } = row;
      const body = { ...storedRequest(row), metadata, priority, ...(webhook_url === null ? {} : { webhook_url }) };
      return createVideo(context, body, options, { retryOf: id, overBudget: () => budgets.get(options.workspaceId) });
    },
    delete: (id, workspaceId) => deleteVideo(context, blobs, id, workspaceId),
    receipt: (id, workspaceId) => readReceipt(kysely, id, workspaceId),
    async listEvents(id, workspaceId, afterSeq) {
      await getVideoRow(kysely, id, workspaceId);
      return listVideoEvents(kysely, id, afterSeq);
    },
    listWorkspaceEvents: (workspaceId, cursor) => listWorkspaceEvents(kysely, workspaceId, cursor),
    waitForEvents: (maxWaitMs, signal) => context.events.wait(maxWaitMs, signal),
  };
}
