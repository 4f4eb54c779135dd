import { relative } from 'node:path';
import { isFinalStatus, type Video } from '@dailies/sdk';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { Interrupted, interruptible } from '../interrupt.ts';
import { liveText, progressText } from '../render/progress.ts';
import { creditWords, size, span } from '../render/words.ts';
import { saveFile, targetFile } from '../save-file.ts';
import type { Session } from '../session.ts';

export interface FollowOptions {
  /** Where the file goes; `null`: it is not downloaded. */
  readonly download: { readonly output: string | undefined } | null;
  /** With `--json`: print every change as a line, not only the end. */
  readonly everyChange: boolean;
}

/**
 * Shows a video until it is final, then downloads it. Ctrl-C leaves the video alone and says how to go on.
 * @returns ok for a completed video, failed for any other end
 */
export async function follow(session: Session, id: string, options: FollowOptions): Promise<ExitCode> {
  try {
    return await interruptible(session.io, (signal) => followUntilEnd(session, id, options, signal));
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    const file = options.download && ` --output ${options.download.output ?? `${id}.mp4`}`;
    const again = `${session.program} watch ${id}${file ?? ''}`;
    session.printer.error(`${id} goes on without you. Watch it again:\n  ${again}`);
    return exitCodes.interrupted;
  }
}

async function followUntilEnd(
  session: Session,
  id: string,
  options: FollowOptions,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { printer } = session;
  const video = await showUntilFinal(session, id, signal, options.everyChange);
  const completed = video.status === 'completed';
  const path = completed && options.download ? await download(session, video, options.download.output, signal) : null;
  if (path !== null || !options.everyChange) printer.json({ ...video, path });
  printer.line(endWords(video));
  if (path !== null) printer.line(path);
  return completed ? exitCodes.ok : exitCodes.failed;
}

/** On a terminal one line that is rewritten; elsewhere (and for screen readers of logs) a line per change. */
async function showUntilFinal(session: Session, id: string, signal: AbortSignal, everyChange: boolean): Promise<Video> {
  const { printer, dailies } = session;
  let shown: Video | undefined;
  const redraw = (): void => {
    if (shown) printer.live(liveText(shown, Date.now()));
  };
  const timer = printer.isLive ? setInterval(redraw, 100) : undefined;
  try {
    for await (const video of dailies.videos.watch(id, { signal, pollMs: 3_000 })) {
      if (everyChange) printer.json(video);
      if (!printer.isLive && isWorthALine(shown, video)) printer.line(`${id} ${progressText(video, Date.now())}`);
      shown = video;
      if (!isFinalStatus(video.status)) redraw();
    }
  } finally {
    clearInterval(timer);
  }
  if (!shown) throw new TypeError('watching ended without a video');
  return shown;
}

/** Final states get their own words; expected times change too often to be news in a log. */
function isWorthALine(before: Video | undefined, now: Video): boolean {
  if (isFinalStatus(now.status)) return false;
  return before?.status !== now.status || before.queue?.position !== now.queue?.position;
}

async function download(
  session: Session,
  video: Video,
  output: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { io, printer, dailies } = session;
  const target = await targetFile(output, video, io.cwd);
  await saveFile(dailies, video, target, {
    signal,
    onProgress: (bytes, all) => {
      const share = all === 0 ? 100 : Math.floor((bytes / all) * 100);
      printer.live(`downloading ${relative(io.cwd, target)}: ${size(bytes)} of ${size(all)} (${String(share)} %)`);
    },
  });
  return target;
}

function endWords(video: Video): string {
  const took =
    video.completed_at === null ? '' : ` after ${span(Date.parse(video.completed_at) - Date.parse(video.created_at))}`;
  const charged =
    video.charged_credits === null ? 'charge not known yet' : `charged ${creditWords(video.charged_credits)}`;
  const why = video.error ? `: ${video.error.message} (${video.error.code})` : '';
  return `${video.id} ${video.status}${took}, ${charged}${why}`;
}
