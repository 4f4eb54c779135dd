import { Mp4Error, type Mp4Box, headerBytesMax, readBoxHeader } from './mp4-boxes.ts';
import { type Mp4Facts, readFacts } from './mp4-facts.ts';
import { type OffsetMap, rewriteOffsets } from './mp4-offsets.ts';

/** Reads a range of the file, both ends inclusive. */
export type ReadRange = (start: number, end: number) => Promise<Uint8Array>;

/** New bytes, or a range of the source to copy (both ends inclusive). */
export type FaststartSegment =
  | { readonly kind: 'bytes'; readonly data: Uint8Array }
  | { readonly kind: 'copy'; readonly start: number; readonly end: number };

/** How to write the file so that a player can start at once: the segments in order, `bytes` long together. */
export interface FaststartPlan {
  readonly bytes: number;
  readonly segments: readonly FaststartSegment[];
  readonly facts: Mp4Facts;
}

/** Largest index that is read into memory. */
export const moovBytesMax = 16 * 1024 * 1024;
const topLevelBoxesMax = 256;
/** Small boxes come in clusters, and the index of a short clip fits too: one round trip instead of several. */
const windowBytes = 32 * 1024;
const fillers = new Set(['free', 'skip', 'wide']);

/**
 * Plans an output with `moov` before `mdat`, so that it streams. Reads only box headers and `moov`, never media, and at most
 * {@link moovBytesMax} at once. A file that already streams is copied unchanged. Nothing in the file is trusted: sizes, counts and
 * offsets are checked against `size` first.
 * @throws Mp4Error; whatever `read` throws
 */
export async function planFaststart(size: number, read: ReadRange): Promise<FaststartPlan> {
  const source = createWindow(size, read);
  const boxes = await readTopLevel(size, source);
  const moov = boxes.find((box) => box.type === 'moov');
  if (moov === undefined) throw new Mp4Error('no_moov', 'The file has no index (moov).');
  if (moov.end - moov.start > moovBytesMax) {
    throw new Mp4Error('moov_too_large', `The index is ${moov.end - moov.start} bytes, more than ${moovBytesMax}.`);
  }
  const bytes = await source(moov.start, moov.end - moov.start);
  const index = readBoxHeader(bytes, 0, bytes.length);
  const facts = readFacts(bytes, index);
  const media = boxes.find((box) => box.type === 'mdat' || box.type === 'moof');
  if (media === undefined) throw new Mp4Error('truncated', 'The file has an index but no media (mdat).');
  if (moov.start < media.start) {
    rewriteOffsets(bytes, index, { map: insideFile(size), wide: false });
    return { bytes: size, segments: [{ kind: 'copy', start: 0, end: size - 1 }], facts };
  }
  if (media.type === 'moof') throw new Mp4Error('not_mp4', 'The file is fragmented, with its index at the end.');
  return { ...moveToFront(boxes, { bytes, index, size }), facts };
}

/** Reads with a look-ahead, so that neighbouring headers cost one call; checks that exactly what was asked for came. */
function createWindow(size: number, read: ReadRange): (start: number, length: number) => Promise<Uint8Array> {
  let from = 0;
  let bytes: Uint8Array = new Uint8Array(0);
  return async (start, length) => {
    if (start < from || start + length > from + bytes.length) {
      const wanted = Math.min(Math.max(length, windowBytes), size - start);
      const answer = await read(start, start + wanted - 1);
      if (answer.length !== wanted) {
        throw new Mp4Error('truncated', `Reading at byte ${start} gave ${answer.length} bytes instead of ${wanted}.`);
      }
      from = start;
      bytes = answer;
    }
    return bytes.subarray(start - from, start - from + length);
  };
}

async function readTopLevel(
  size: number,
  source: (start: number, length: number) => Promise<Uint8Array>,
): Promise<Mp4Box[]> {
  const boxes: Mp4Box[] = [];
  for (let start = 0; start < size || boxes.length === 0;) {
    const header = await source(start, Math.min(headerBytesMax, size - start));
    if (boxes.length === 0 && !isFileType(header))
      throw new Mp4Error('not_mp4', 'The file does not begin as an MP4 file.');
    if (boxes.length === topLevelBoxesMax)
      throw new Mp4Error('not_mp4', `The file has more than ${topLevelBoxesMax} boxes.`);
    const box = readBoxHeader(header, start, size);
    if (box.type === 'moov' && boxes.some((other) => other.type === 'moov')) {
      throw new Mp4Error('not_mp4', 'The file has two indexes (moov).');
    }
    boxes.push(box);
    start = box.end;
  }
  return boxes;
}

function isFileType(header: Uint8Array): boolean {
  return header.length < 8 || String.fromCharCode(...header.subarray(4, 8)) === 'ftyp';
}

interface Index {
  readonly bytes: Uint8Array;
  readonly index: Mp4Box;
  readonly size: number;
}

/** `ftyp`, the new index, then everything else in its old order; empty filler is left out. */
function moveToFront(boxes: readonly Mp4Box[], source: Index): Omit<FaststartPlan, 'facts'> {
  const [fileType, ...others] = boxes.filter((box) => box.type !== 'moov' && !fillers.has(box.type));
  if (fileType === undefined) throw new Mp4Error('not_mp4', 'The file does not begin as an MP4 file.');
  const lengthWith = (wide: boolean): number =>
    rewriteOffsets(source.bytes, source.index, { map: () => 0, wide }).length;
  const mediaBytes = others.reduce((sum, box) => sum + box.end - box.start, 0);
  // Offsets that fitted 32 bits may no longer do so behind the index.
  const wide = fileType.end + lengthWith(false) + mediaBytes > 0xffff_ffff;
  const { map, end } = mapAfter(fileType.end + lengthWith(wide), others, source.size);
  const moov = rewriteOffsets(source.bytes, source.index, { map, wide });
  const segments: FaststartSegment[] = [copy(fileType), { kind: 'bytes', data: moov }];
  for (const box of others) {
    const last = segments.at(-1);
    if (last?.kind === 'copy' && last.end + 1 === box.start)
      segments[segments.length - 1] = { ...last, end: box.end - 1 };
    else segments.push(copy(box));
  }
  return { bytes: end, segments };
}

function copy(box: Mp4Box): FaststartSegment {
  return { kind: 'copy', start: box.start, end: box.end - 1 };
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly shift: number;
}

/** Where each byte of the boxes goes when they are written one after the other from `start` on. */
function mapAfter(start: number, boxes: readonly Mp4Box[], size: number): { map: OffsetMap; end: number } {
  const pieces: Piece[] = [];
  let end = start;
  for (const box of boxes) {
    pieces.push({ start: box.start, end: box.end, shift: end - box.start });
    end += box.end - box.start;
  }
  const check = insideFile(size);
  const map: OffsetMap = (offset) => {
    const piece = findPiece(pieces, check(offset));
    if (piece === undefined) throw new Mp4Error('not_mp4', `The index points to byte ${offset}, outside of any media.`);
    return offset + piece.shift;
  };
  return { map, end };
}

/** By halving: an index may hold millions of offsets. */
function findPiece(pieces: readonly Piece[], offset: number): Piece | undefined {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.end ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const piece = pieces[low];
  return piece !== undefined && piece.start <= offset ? piece : undefined;
}

function insideFile(size: number): OffsetMap {
  return (offset) => {
    if (offset >= size) throw new Mp4Error('truncated', `The index points to byte ${offset} of ${size}.`);
    return offset;
  };
}
