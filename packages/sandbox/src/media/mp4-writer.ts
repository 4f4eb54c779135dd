import { audioFormat } from './aac-tone.ts';
import type { PictureSize } from './h264-syntax.ts';

export interface VideoTrack extends PictureSize {
  readonly fps: number;
  /** NAL units without start codes. */
  readonly sequenceParameters: Uint8Array;
  readonly pictureParameters: Uint8Array;
  readonly samples: readonly VideoSample[];
}

export interface VideoSample {
  /** NAL units of one picture, each behind its 4-byte length. */
  readonly data: Uint8Array;
  readonly key: boolean;
}

/** Time units per frame: the track's timescale is this times the frame rate. */
const unitsPerFrame = 512;

/**
 * An MP4 file as the provider delivers it: `ftyp`, `mdat`, and `moov` last. `audio` are AAC frames of {@link audioFormat}; without
 * any there is no audio track. The same input gives the same bytes.
 */
export function writeMp4(video: VideoTrack, audio: readonly Uint8Array[]): Uint8Array {
  const fileType = box('ftyp', text('isom'), u32(0x200), text('isomiso2avc1mp41'));
  const layout = interleave(video, audio, fileType.length + 8);
  const media = box('mdat', ...layout.payload);
  const movie = movieBox(video, audio, layout);
  return concat([fileType, media, movie]);
}

interface Chunk {
  readonly offset: number;
  readonly samples: number;
}

interface Layout {
  readonly payload: readonly Uint8Array[];
  readonly videoChunks: readonly Chunk[];
  readonly audioChunks: readonly Chunk[];
}

/** Alternates half a second of pictures with the sound that belongs to it, so that a player never seeks. */
function interleave(video: VideoTrack, audio: readonly Uint8Array[], start: number): Layout {
  const payload: Uint8Array[] = [];
  const videoChunks: Chunk[] = [];
  const audioChunks: Chunk[] = [];
  let offset = start;
  const add = (chunks: Chunk[], samples: readonly Uint8Array[]): void => {
    if (samples.length === 0) return;
    chunks.push({ offset, samples: samples.length });
    for (const sample of samples) offset += sample.length;
    payload.push(...samples);
  };
  const step = Math.max(1, Math.round(video.fps / 2));
  let played = 0;
  for (let first = 0; first < video.samples.length; first += step) {
    const end = Math.min(first + step, video.samples.length);
    add(
      videoChunks,
      video.samples.slice(first, end).map((sample) => sample.data),
    );
    const seconds = end / video.fps;
    const until =
      end === video.samples.length
        ? audio.length
        : Math.min(audio.length, Math.round((seconds * audioFormat.sampleRate) / audioFormat.samplesPerFrame));
    add(audioChunks, audio.slice(played, until));
    played = until;
  }
  return { payload, videoChunks, audioChunks };
}

function movieBox(video: VideoTrack, audio: readonly Uint8Array[], layout: Layout): Uint8Array {
  const timescale = video.fps * unitsPerFrame;
  const duration = video.samples.length * unitsPerFrame;
  const tracks = [videoTrack(video, layout.videoChunks)];
  if (audio.length > 0) tracks.push(audioTrack(audio, layout.audioChunks, timescale));
  const header = [u32(0, 0, timescale, duration, 0x10000), u16(0x100, 0), u32(0, 0), matrix, u32(0, 0, 0, 0, 0, 0)];
  return box('moov', fullBox('mvhd', 0, ...header, u32(tracks.length + 1)), ...tracks);
}

function videoTrack(video: VideoTrack, chunks: readonly Chunk[]): Uint8Array {
  const duration = video.samples.length * unitsPerFrame;
  const keys = video.samples.flatMap((sample, index) => (sample.key ? [index + 1] : []));
  const tables = [
    fullBox('stsd', 0, u32(1), visualEntry(video)),
    fullBox('stts', 0, u32(1, video.samples.length, unitsPerFrame)),
    fullBox('stss', 0, u32(keys.length, ...keys)),
    ...chunkTables(chunks),
    sizeTable(video.samples.map((sample) => sample.data)),
  ];
  return track({
    id: 1,
    size: video,
    volume: 0,
    movieDuration: duration,
    timescale: video.fps * unitsPerFrame,
    duration,
    handler: ['vide', 'VideoHandler'],
    mediaHeader: fullBox('vmhd', 1, u16(0, 0, 0, 0)),
    tables,
  });
}

function audioTrack(audio: readonly Uint8Array[], chunks: readonly Chunk[], movieTimescale: number): Uint8Array {
  const duration = audio.length * audioFormat.samplesPerFrame;
  const tables = [
    fullBox('stsd', 0, u32(1), audioEntry()),
    fullBox('stts', 0, u32(1, audio.length, audioFormat.samplesPerFrame)),
    ...chunkTables(chunks),
    sizeTable(audio),
  ];
  return track({
    id: 2,
    size: { width: 0, height: 0 },
    volume: 0x100,
    movieDuration: Math.floor((duration * movieTimescale) / audioFormat.sampleRate),
    timescale: audioFormat.sampleRate,
    duration,
    handler: ['soun', 'SoundHandler'],
    mediaHeader: fullBox('smhd', 0, u16(0, 0)),
    tables,
  });
}

interface TrackParts {
  readonly id: number;
  readonly size: PictureSize;
  readonly volume: number;
  readonly movieDuration: number;
  readonly timescale: number;
  readonly duration: number;
  readonly handler: readonly [type: string, name: string];
  readonly mediaHeader: Uint8Array;
  readonly tables: readonly Uint8Array[];
}

function track(parts: TrackParts): Uint8Array {
  const [handlerType, handlerName] = parts.handler;
  const dimensions = u32(parts.size.width * 0x10000, parts.size.height * 0x10000);
  const placement = [u32(0, 0, parts.id, 0, parts.movieDuration, 0, 0), u16(0, 0, parts.volume, 0), matrix, dimensions];
  const reference = box('dinf', fullBox('dref', 0, u32(1), fullBox('url ', 1)));
  const media = box(
    'mdia',
    fullBox('mdhd', 0, u32(0, 0, parts.timescale, parts.duration), u16(0x55c4, 0)),
    fullBox('hdlr', 0, u32(0), text(handlerType), u32(0, 0, 0), text(`${handlerName}\0`)),
    box('minf', parts.mediaHeader, reference, box('stbl', ...parts.tables)),
  );
  return box('trak', fullBox('tkhd', 3, ...placement), media);
}

function visualEntry(video: VideoTrack): Uint8Array {
  const { sequenceParameters: sequence, pictureParameters: picture } = video;
  const configuration = box(
    'avcC',
    new Uint8Array([1, ...sequence.subarray(1, 4), 0xff, 0xe1]),
    u16(sequence.length),
    sequence,
    new Uint8Array([1]),
    u16(picture.length),
    picture,
  );
  const fields = [u16(0, 0, 0, 1), u32(0, 0, 0, 0), u16(video.width, video.height), u32(0x480000, 0x480000, 0), u16(1)];
  return box('avc1', ...fields, new Uint8Array(32), u16(0x18, 0xffff), configuration);
}

function audioEntry(): Uint8Array {
  const specific = descriptor(5, new Uint8Array(audioFormat.specificConfig));
  const decoder = descriptor(4, new Uint8Array([0x40, 0x15, 0, 0, 0]), u32(48_000, 32_000), specific);
  const stream = descriptor(3, u16(2), new Uint8Array([0]), decoder, descriptor(6, new Uint8Array([2])));
  const fields = [u16(0, 0, 0, 1), u32(0, 0), u16(audioFormat.channels, 16), u32(0, audioFormat.sampleRate * 0x10000)];
  return box('mp4a', ...fields, fullBox('esds', 0, stream));
}

function descriptor(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(parts);
  return concat([new Uint8Array([tag, body.length]), body]);
}

function chunkTables(chunks: readonly Chunk[]): Uint8Array[] {
  const runs = chunks.flatMap((chunk, index) =>
    chunk.samples === chunks[index - 1]?.samples ? [] : [index + 1, chunk.samples, 1],
  );
  const offsets = chunks.map((chunk) => chunk.offset);
  return [fullBox('stsc', 0, u32(runs.length / 3, ...runs)), fullBox('stco', 0, u32(offsets.length, ...offsets))];
}

/** One size where all samples share it, else one per sample. */
function sizeTable(samples: readonly Uint8Array[]): Uint8Array {
  const first = samples[0]?.length ?? 0;
  const sizes = samples.map((sample) => sample.length);
  if (sizes.every((size) => size === first)) return fullBox('stsz', 0, u32(first, sizes.length));
  return fullBox('stsz', 0, u32(0, sizes.length, ...sizes));
}

const matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

function fullBox(type: string, flags: number, ...parts: Uint8Array[]): Uint8Array {
  return box(type, u32(flags), ...parts);
}

function box(type: string, ...parts: Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 8);
  return concat([u32(size), text(type), ...parts]);
}

function u32(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value);
  return bytes;
}

function u16(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** Joins byte arrays into one. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
