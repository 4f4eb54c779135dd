import type { Database } from '../db/database.ts';
import type { ApiDeps } from './api-deps.ts';

/** Looks up whose video a signed link is about; what it finds only serves to check the link. */
export function createFindVideoWorkspace(database: Pick<Database, 'kysely'>): ApiDeps['findVideoWorkspace'] {
  return async (videoId) => {
    const row = await database.kysely
      .selectFrom('videos')
      .select('workspace_id')
      .where('id', '=', videoId)
      .executeTakeFirst();
    return row?.workspace_id;
  };
}
