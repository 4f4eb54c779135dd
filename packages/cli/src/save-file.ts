import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Dailies, Video } from '@dailies/sdk';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

export interface SaveOptions {
  readonly signal: AbortSignal;
  /** @param bytes that are on disk so far */
  readonly onProgress?: (bytes: number, sizeBytes: number) => void;
}

/** The file to write: `output`, or `<id>.mp4` in it when it is a folder, or in `cwd` when it is not given. */
export async function targetFile(output: string | undefined, video: Pick<Video, 'id'>, cwd: string): Promise<string> {
  const name = `${video.id}.mp4`;
  if (output === undefined) return join(cwd, name);
  const path = resolve(cwd, output);
  const isFolder = /[\\/]$/.test(output) || (await stat(path).catch(() => null))?.isDirectory() === true;
  return isFolder ? join(path, name) : path;
}

/**
 * Writes a completed video's file, whole or not at all: bytes go to a hidden part file beside it, which is kept when the work is
 * interrupted and gone on with next time. The file appears under its name once its SHA-256 is the published one.
 * @throws DailiesError, or CommandError `download_damaged` when even a fresh download does not match
 */
export async function saveFile(dailies: Dailies, video: Video, target: string, options: SaveOptions): Promise<void> {
  const { file } = video;
  if (!file) throw new CommandError('content_deleted', `${video.id} has no file: it was deleted.`, exitCodes.failed);
  await mkdir(dirname(target), { recursive: true });
  // Named after the content: a part of another file can never be gone on with.
  const part = join(dirname(target), `.${basename(target)}.${file.sha256.slice(0, 12)}.part`);
  for (const lastTry of [false, true]) {
    if ((await sizeOf(part)) < file.bytes) await append(dailies, video.id, part, file.bytes, options);
    if ((await hashOf(part)) === file.sha256) {
      await rename(part, target);
      return;
    }
    await rm(part, { force: true });
    if (lastTry) break;
  }
  const message = `The file of ${video.id} arrived damaged twice (its SHA-256 is not the published one). Try again later.`;
  throw new CommandError('download_damaged', message, exitCodes.failed);
}

async function append(dailies: Dailies, id: string, part: string, size: number, options: SaveOptions): Promise<void> {
  const offset = await sizeOf(part);
  let bytes = offset;
  const count = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      options.onProgress?.(bytes, size);
      done(null, chunk);
    },
  });
  const { body } = await dailies.videos.download(id, { offset, signal: options.signal });
  await pipeline(Readable.fromWeb(body), count, createWriteStream(part, { flags: 'a' }), { signal: options.signal });
}

async function sizeOf(file: string): Promise<number> {
  const known = await stat(file).catch(() => null);
  return known?.size ?? 0;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
