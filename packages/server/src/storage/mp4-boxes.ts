/** Why bytes are not an MP4 file that can be stored. Messages carry positions and limits, never file content. */
export class Mp4Error extends Error {
  override readonly name = 'Mp4Error';
  /**
   * - `truncated`: a box, or a sample it points to, lies beyond the end: the copy is incomplete
   * - `no_moov`: whole boxes, but no index among them
   * - `moov_too_large`: the index is larger than we read into memory
   * - `no_video`: an index without a video track
   * - `not_mp4`: anything else that breaks the rules of the format
   */
  readonly reason: 'truncated' | 'no_moov' | 'moov_too_large' | 'not_mp4' | 'no_video';

  constructor(reason: Mp4Error['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** One box: `start` and `end` (exclusive) enclose the header, `body` is where its content begins. */
export interface Mp4Box {
  readonly type: string;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Enough bytes for any box header. */
export const headerBytesMax = 16;
const childrenMax = 10_000;

/**
 * Reads the header at the beginning of `bytes`, which lie at `start` of something that ends at `limit`. A size of 0 means "to the
 * limit". Never trusts a size.
 * @throws Mp4Error `truncated` when the box ends beyond the limit, `not_mp4` when its size cannot be
 */
export function readBoxHeader(bytes: Uint8Array, start: number, limit: number): Mp4Box {
  if (limit - start < 8 || bytes.length < 8) {
    throw new Mp4Error('truncated', `The file ends at byte ${limit}, inside the box header at byte ${start}.`);
  }
  const view = viewOf(bytes);
  const short = view.getUint32(0);
  const type = String.fromCharCode(view.getUint8(4), view.getUint8(5), view.getUint8(6), view.getUint8(7));
  if (short === 1 && (limit - start < 16 || bytes.length < 16)) {
    throw new Mp4Error('truncated', `The file ends at byte ${limit}, inside the box header at byte ${start}.`);
  }
  const header = short === 1 ? 16 : 8;
  const size = short === 1 ? Number(view.getBigUint64(8)) : short === 0 ? limit - start : short;
  if (size < header)
    throw new Mp4Error('not_mp4', `The box at byte ${start} claims ${size} bytes, less than its header.`);
  if (size > limit - start) {
    throw new Mp4Error(
      'truncated',
      `The box at byte ${start} claims ${size} bytes, but only ${limit - start} are there.`,
    );
  }
  return { type, start, body: start + header, end: start + size };
}

/**
 * The boxes directly inside a range of bytes in memory.
 * @throws Mp4Error `not_mp4` when they do not fill it exactly, or are absurdly many
 */
export function readChildren(bytes: Uint8Array, range: { body: number; end: number }): Mp4Box[] {
  const children: Mp4Box[] = [];
  for (let start = range.body; start < range.end;) {
    if (children.length === childrenMax) throw new Mp4Error('not_mp4', `More than ${childrenMax} boxes in one box.`);
    const child = readChild(bytes, start, range.end);
    children.push(child);
    start = child.end;
  }
  return children;
}

function readChild(bytes: Uint8Array, start: number, limit: number): Mp4Box {
  try {
    return readBoxHeader(bytes.subarray(start, Math.min(start + headerBytesMax, limit)), start, limit);
  } catch (error) {
    if (!(error instanceof Mp4Error)) throw error;
    throw new Mp4Error('not_mp4', `A box inside the index does not fit its parent (at byte ${start} of the index).`);
  }
}

/** The first box of a type directly inside another. */
export function findChild(bytes: Uint8Array, parent: Mp4Box | undefined, type: string): Mp4Box | undefined {
  return parent === undefined ? undefined : readChildren(bytes, parent).find((child) => child.type === type);
}

/** The content of a box as a view that refuses, like any view, to read beyond it. */
export function bodyView(bytes: Uint8Array, box: Mp4Box): DataView {
  return viewOf(bytes.subarray(box.body, box.end));
}

/** A view on exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
