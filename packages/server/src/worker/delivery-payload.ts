/** What a delivery says: the event as it was written, and a link to the file that is made for this try. */
import type { NotificationPayload } from '../notifications/notifier.ts';
import type { VideosContext } from '../videos/context.ts';
import { toRecords } from '../videos/records.ts';
import type { VideoFile, VideoRecord } from '../videos/videos.ts';
import type { Delivery } from './deliver.ts';

/** Makes a link of ours that works from now on; null where this process cannot know our public address. */
export type LinkTo = (video: VideoRecord, file: VideoFile) => Promise<string | null>;

const typesWithFile: readonly string[] = ['video.completed', 'video.file_stored'];

/** Public facts only. `video_url` is a link of ours, or null where there is no file (any more). */
export async function readPayload(
  context: VideosContext,
  delivery: Delivery,
  linkTo: LinkTo,
): Promise<NotificationPayload> {
  const { kysely } = context.database;
  if (delivery.event_id === null) return readTestPayload(delivery);
  const event = await kysely
    .selectFrom('events')
    .select(['type', 'data', 'created_at', 'video_id'])
    .where('id', '=', delivery.event_id)
    .executeTakeFirstOrThrow();
  const videoUrl = typesWithFile.includes(event.type) ? await linkToFileOf(context, event.video_id, linkTo) : null;
  const data = { ...event.data, video_url: videoUrl };
  return { type: event.type, timestamp: event.created_at.toISOString(), data };
}

function readTestPayload({ id, payload, created_at: at }: Delivery): NotificationPayload {
  if (payload === null) throw new Error(`delivery ${id} has neither an event nor a payload`);
  return { type: 'webhook.test', timestamp: at.toISOString(), data: payload };
}

async function linkToFileOf({ database }: VideosContext, videoId: string, linkTo: LinkTo): Promise<string | null> {
  const row = await database.kysely
    .selectFrom('videos')
    .selectAll()
    .where('id', '=', videoId)
    .executeTakeFirstOrThrow();
  const [video] = await toRecords(database.kysely, [row]);
  return video?.file?.state === 'stored' ? linkTo(video, video.file) : null;
}
