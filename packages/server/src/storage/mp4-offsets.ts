import { Mp4Error, type Mp4Box, bodyView, readChildren, viewOf } from './mp4-boxes.ts';

/** Where a byte of the old file lies in the new one. */
export type OffsetMap = (offset: number) => number;

/** The only way down to the tables: a hostile file may nest anything in anything, thousands deep. */
const pathDown = new Map([
  ['moov', 'trak'],
  ['trak', 'mdia'],
  ['mdia', 'minf'],
  ['minf', 'stbl'],
]);
const partsMax = 20_000;

/**
 * The same index with every chunk offset (`stco`, `co64`) sent through `map`; all other boxes are copied as they are. `wide` makes all
 * tables 64 bit; without it the map must keep the offsets of `stco` below 4 GiB. The length of the answer depends on the index and on
 * `wide`, never on the map.
 * @throws Mp4Error `not_mp4` when a table claims more entries than it holds
 */
export function rewriteOffsets(
  bytes: Uint8Array,
  moov: Mp4Box,
  options: { map: OffsetMap; wide: boolean },
): Uint8Array {
  const parts: Uint8Array[] = [];
  const whole = new Uint8Array(collect(bytes, moov, { ...options, parts }));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

interface Rewriting {
  readonly map: OffsetMap;
  readonly wide: boolean;
  /** The answer so far, in pieces: nested boxes are not copied once per level. */
  readonly parts: Uint8Array[];
}

/** Adds a box on the way down to the parts and returns its length. */
function collect(bytes: Uint8Array, box: Mp4Box, rewriting: Rewriting): number {
  const { parts } = rewriting;
  const header = new Uint8Array(8);
  let length = add(parts, header);
  let unchangedFrom = box.body;
  for (const child of readChildren(bytes, box)) {
    const isContainer = pathDown.get(box.type) === child.type;
    if (!isContainer && !isTable(box, child)) continue;
    length += add(parts, bytes.subarray(unchangedFrom, child.start));
    length += isContainer ? collect(bytes, child, rewriting) : add(parts, rewriteTable(bytes, child, rewriting));
    unchangedFrom = child.end;
  }
  length += add(parts, bytes.subarray(unchangedFrom, box.end));
  writeHeader(header, box.type, length);
  return length;
}

function isTable(parent: Mp4Box, child: Mp4Box): boolean {
  return parent.type === 'stbl' && (child.type === 'stco' || child.type === 'co64');
}

function add(parts: Uint8Array[], part: Uint8Array): number {
  if (parts.length === partsMax) throw new Mp4Error('not_mp4', 'The index has absurdly many tracks or tables.');
  if (part.length > 0) parts.push(part);
  return part.length;
}

function rewriteTable(bytes: Uint8Array, box: Mp4Box, rewriting: Rewriting): Uint8Array {
  const view = bodyView(bytes, box);
  const step = box.type === 'co64' ? 8 : 4;
  const newStep = rewriting.wide ? 8 : step;
  const count = view.byteLength < 8 ? Number.POSITIVE_INFINITY : view.getUint32(4);
  if (8 + count * step > view.byteLength) {
    throw new Mp4Error('not_mp4', `The ${box.type} table is shorter than it claims.`);
  }
  const table = new Uint8Array(16 + count * newStep);
  writeHeader(table, newStep === 8 ? 'co64' : 'stco', table.length);
  const out = viewOf(table);
  out.setUint32(12, count);
  for (let index = 0; index < count; index++) {
    const old = step === 8 ? Number(view.getBigUint64(8 + index * 8)) : view.getUint32(8 + index * 4);
    const offset = rewriting.map(old);
    if (newStep === 8) out.setBigUint64(16 + index * 8, BigInt(offset));
    else out.setUint32(16 + index * 4, offset);
  }
  return table;
}

function writeHeader(box: Uint8Array, type: string, length: number): void {
  viewOf(box).setUint32(0, length);
  for (let index = 0; index < 4; index++) box[4 + index] = type.charCodeAt(index);
}
