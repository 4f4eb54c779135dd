export { createDailies, type Dailies, type DailiesOptions } from './client.ts';
export type { Download, DownloadOptions } from './download.ts';
export { ConnectionError, DailiesError, TimeoutError, type DailiesErrorFacts, type Mistake } from './errors.ts';
export { isFinalStatus } from './status.ts';
export type * from './types.ts';
export type { EventsOptions } from './video-events.ts';
export type { VideoFilter, VideoList } from './video-list.ts';
export type { CallOptions, CreateOptions, VideosResource } from './videos.ts';
export type { WaitOptions, WatchOptions } from './watch-video.ts';
