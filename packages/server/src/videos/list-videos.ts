import { sql, type Kysely } from 'kysely';
import { findModel } from '../catalog/models.ts';
import type { Tables } from '../db/tables.ts';
import { InputError } from '../kernel/errors.ts';
import { toRecords } from './records.ts';
import type { VideoFilter, VideoPage } from './videos.ts';

/** Newest first; the cursor is the place after the last one shown, so that new videos never shift a page. */
export async function listVideos(kysely: Kysely<Tables>, filter: VideoFilter, workspaceId: string): Promise<VideoPage> {
  let query = kysely
    .selectFrom('videos')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('deleted_at', 'is', null)
    .orderBy('accepted_at', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit + 1);
  if (filter.states !== null) query = query.where('state', 'in', filter.states);
  if (filter.model !== null) query = query.where('model', '=', findModel(filter.model)?.id ?? filter.model);
  if (Object.keys(filter.metadata).length > 0) {
    query = query.where(sql<boolean>`metadata @> ${JSON.stringify(filter.metadata)}::jsonb`);
  }
  if (filter.cursor !== null) {
    const id = readCursor(filter.cursor);
    // The row itself gives its place: a time that went through JavaScript has lost its microseconds.
    query = query.where(
      sql<boolean>`(accepted_at, id) < (select accepted_at, id from videos where id = ${id} and workspace_id = ${workspaceId})`,
    );
  }
  const rows = await query.execute();
  const shown = rows.slice(0, filter.limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > filter.limit && last ? writeCursor(last.id) : null;
  return { videos: await toRecords(kysely, shown), nextCursor };
}

function writeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString();
  if (/^vid_[0-9a-z]{26}$/.test(id)) return id;
  const detail = '`cursor` is not one that an answer gave out: leave it out to start from the newest video.';
  throw new InputError([{ pointer: '?cursor', detail }]);
}
