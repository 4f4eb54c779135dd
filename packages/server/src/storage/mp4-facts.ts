import { Mp4Error, type Mp4Box, bodyView, findChild, readChildren } from './mp4-boxes.ts';

/** What the index of an MP4 file says about it. */
export interface Mp4Facts {
  /** Length of the video track. */
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
  /** Four-character code of the sample entry: `avc1`, `hvc1`, ... */
  readonly videoCodec: string;
  readonly hasAudio: boolean;
}

/**
 * Reads the facts from a whole `moov` box in memory.
 * @throws Mp4Error `no_video`, or `not_mp4` when the index breaks the format's rules
 */
export function readFacts(bytes: Uint8Array, moov: Mp4Box): Mp4Facts {
  const tracks = readChildren(bytes, moov)
    .filter((child) => child.type === 'trak')
    .map((track) => findChild(bytes, track, 'mdia'));
  const handlers = tracks.map((media) => handlerOf(bytes, media));
  const video = tracks[handlers.indexOf('vide')];
  if (video === undefined) throw new Mp4Error('no_video', 'The index has no video track.');
  const table = findChild(bytes, findChild(bytes, video, 'minf'), 'stbl');
  const entry = firstEntry(bytes, findChild(bytes, table, 'stsd'));
  const seconds =
    durationOf(bytes, findChild(bytes, video, 'mdhd')) ?? durationOf(bytes, findChild(bytes, moov, 'mvhd'));
  if (seconds === undefined) throw new Mp4Error('not_mp4', 'The index gives the video track no duration.');
  const view = bodyView(bytes, entry);
  if (view.byteLength < 28) throw new Mp4Error('not_mp4', 'The video description is too short.');
  const [width, height] = [view.getUint16(24), view.getUint16(26)];
  if (width === 0 || height === 0) throw new Mp4Error('not_mp4', `The picture size is ${width} x ${height}.`);
  return { seconds, width, height, videoCodec: entry.type, hasAudio: handlers.includes('soun') };
}

function handlerOf(bytes: Uint8Array, media: Mp4Box | undefined): string | undefined {
  const handler = findChild(bytes, media, 'hdlr');
  if (handler === undefined || handler.end - handler.body < 12) return undefined;
  return String.fromCharCode(...bytes.subarray(handler.body + 8, handler.body + 12));
}

function firstEntry(bytes: Uint8Array, description: Mp4Box | undefined): Mp4Box {
  const entry =
    description !== undefined && description.end - description.body >= 8
      ? readChildren(bytes, { body: description.body + 8, end: description.end })[0]
      : undefined;
  if (entry === undefined) throw new Mp4Error('no_video', 'The video track does not say how it is coded.');
  return entry;
}

/** Seconds from an `mdhd` or `mvhd` box; undefined where it says "unknown" or "nothing". */
function durationOf(bytes: Uint8Array, header: Mp4Box | undefined): number | undefined {
  if (header === undefined) return undefined;
  const view = bodyView(bytes, header);
  const isLong = view.byteLength > 0 && view.getUint8(0) === 1;
  if (view.byteLength < (isLong ? 32 : 20)) throw new Mp4Error('not_mp4', `The ${header.type} box is too short.`);
  const timescale = view.getUint32(isLong ? 20 : 12);
  const duration = isLong ? view.getBigUint64(24) : BigInt(view.getUint32(16));
  const unknown = isLong ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  return timescale === 0 || duration === 0n || duration === unknown ? undefined : Number(duration) / timescale;
}
