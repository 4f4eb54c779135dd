import type { VideoFile, VideoRecord } from '../videos/videos.ts';
import type { ApiDeps, ApiOptions } from './api-deps.ts';

export type LinkKind = 'content' | 'poster';

/** Signed, expiring, absolute addresses of stored files, and the check of those that lead to ourselves. */
export interface ContentLinks {
  sign(video: VideoRecord, file: VideoFile, kind: LinkKind): Promise<string>;
  /** What a link delivers; undefined when it was not signed here, for this path and file, or has expired. */
  verify(target: string, file: VideoFile): LinkKind | undefined;
}

export function createContentLinks(
  deps: Pick<ApiDeps, 'cdn' | 'ownLinks' | 'clock'> & { readonly options: Pick<ApiOptions, 'linkSeconds'> },
): ContentLinks {
  const { cdn, ownLinks, clock, options } = deps;
  return {
    sign: (video, file, kind) =>
      cdn.linkTo({
        videoId: video.id,
        fileId: signedId(file, kind),
        fileKey: kind === 'poster' && file.posterKey !== null ? file.posterKey : file.storageKey,
        expiresInSeconds: options.linkSeconds,
        fileName: fileNameOf(video, kind),
      }),
    verify(target, file) {
      const nowSeconds = clock.wallMs() / 1000;
      const kinds = ['content', 'poster'] as const;
      return kinds.find((kind) => ownLinks.verify({ target, fileId: signedId(file, kind), nowSeconds }));
    },
  };
}

/** Both kinds of file are delivered by one route; only the signature tells which one a link is for. */
function signedId(file: VideoFile, kind: LinkKind): string {
  return kind === 'poster' ? `${file.id}/poster` : file.id;
}

/** What a saved copy is called: the first words of the prompt and the end of the id, in letters safe everywhere. */
export function fileNameOf(video: VideoRecord, kind: LinkKind): string {
  const words = (video.request.prompt ?? '')
    .normalize('NFKD')
    .toLowerCase()
    .match(/[a-z0-9]+/g);
  const title = words?.join('-').slice(0, 48).replace(/-$/, '') || 'video';
  return `${title}-${video.id.slice(-8)}.${kind === 'poster' ? 'jpg' : 'mp4'}`;
}
