import { BitWriter } from './bit-writer.ts';
import { nalUnit, writeDeltaSliceHeader, writeKeySliceHeader } from './h264-syntax.ts';

/**
 * A picture as macroblocks: a cell >= 0 is one flat colour (`flat`), a cell < 0 names the drawn tile `tiles[-cell - 1]`,
 * 256 luma samples with neutral chroma. Equal cells look equal, so a delta picture codes only the cells that changed.
 */
export interface Picture {
  readonly columns: number;
  readonly rows: number;
  readonly cells: Int32Array;
  readonly tiles: readonly Uint8Array[];
}

/** The cell of a flat colour. */
export function flat(luma: number, blue: number, red: number): number {
  return (luma << 16) | (blue << 8) | red;
}

const neutralChroma = new Uint8Array(128).fill(128);
/** Macroblock type numbers of an I slice; a P slice counts five inter types before them. */
const drawnType = 25;
const flatType = 1;
const noNeighbour = flat(128, 128, 128);

/** Encodes a picture that needs no other one (IDR). Flat cells and tiles come back exactly as given. */
export function encodeKeyPicture(picture: Picture, identity: number): Uint8Array {
  const bits = new BitWriter(picture.cells.length * 4);
  writeKeySliceHeader(bits, identity);
  const slice = { bits, picture, typeOffset: 0, drawn: new Uint8Array(picture.cells.length) };
  for (let index = 0; index < picture.cells.length; index++) writeMacroblock(slice, index);
  return nalUnit(0x65, bits.finish());
}

/** Encodes a picture as changes to `previous`; `frameNumber` counts from the last key picture, which is 0. */
export function encodeDeltaPicture(picture: Picture, previous: Int32Array, frameNumber: number): Uint8Array {
  const bits = new BitWriter(picture.cells.length);
  writeDeltaSliceHeader(bits, frameNumber);
  const slice = { bits, picture, typeOffset: 5, drawn: new Uint8Array(picture.cells.length) };
  let skipped = 0;
  for (let index = 0; index < picture.cells.length; index++) {
    if (picture.cells[index] === previous[index]) {
      skipped++;
      continue;
    }
    bits.reserve(8);
    bits.unsigned(skipped);
    skipped = 0;
    writeMacroblock(slice, index);
  }
  bits.reserve(8);
  if (skipped > 0) bits.unsigned(skipped);
  return nalUnit(0x41, bits.finish());
}

interface Slice {
  readonly bits: BitWriter;
  readonly picture: Picture;
  readonly typeOffset: number;
  /** 1 where this slice coded samples directly: such neighbours change the coefficient tables (H.264 9.2.1). */
  readonly drawn: Uint8Array;
}

function writeMacroblock(slice: Slice, index: number): void {
  const { bits, picture } = slice;
  const cell = picture.cells[index] ?? 0;
  bits.reserve(64);
  if (cell < 0) return writeDrawn(slice, index, picture.tiles[-cell - 1] ?? new Uint8Array(256));
  const left = index % picture.columns > 0 ? (picture.cells[index - 1] ?? -1) : -1;
  const above = index >= picture.columns ? (picture.cells[index - picture.columns] ?? -1) : -1;
  // The average of equal neighbours is the cheapest chroma prediction to name.
  const sameChroma = above >= 0 && (index % picture.columns === 0 || (left >= 0 && ((above ^ left) & 0xffff) === 0));
  if (above >= 0 && (left < 0 || distance(cell, above) <= distance(cell, left))) {
    return writeFlat(slice, index, { cell, predicted: above, lumaMode: 0, chromaMode: sameChroma ? 0 : 2 });
  }
  if (left >= 0) {
    return writeFlat(slice, index, { cell, predicted: left, lumaMode: 1, chromaMode: sameChroma ? 0 : 1 });
  }
  if (index === 0) return writeFlat(slice, index, { cell, predicted: noNeighbour, lumaMode: 2, chromaMode: 0 });
  if (((cell >> 8) & 0xff) === 128 && (cell & 0xff) === 128) {
    return writeDrawn(slice, index, new Uint8Array(256).fill(cell >> 16));
  }
  writeDrawnColour(slice, index, cell);
}

function distance(first: number, second: number): number {
  return (
    Math.abs((first >> 16) - (second >> 16)) +
    Math.abs(((first >> 8) & 0xff) - ((second >> 8) & 0xff)) +
    Math.abs((first & 0xff) - (second & 0xff))
  );
}

function writeDrawn(slice: Slice, index: number, luma: Uint8Array, chroma: Uint8Array = neutralChroma): void {
  slice.bits.unsigned(slice.typeOffset + drawnType);
  slice.bits.align();
  slice.bits.append(luma);
  slice.bits.append(chroma);
  slice.drawn[index] = 1;
}

function writeDrawnColour(slice: Slice, index: number, cell: number): void {
  const chroma = new Uint8Array(128).fill((cell >> 8) & 0xff, 0, 64).fill(cell & 0xff, 64);
  writeDrawn(slice, index, new Uint8Array(256).fill(cell >> 16), chroma);
}

interface FlatCode {
  readonly cell: number;
  readonly predicted: number;
  readonly lumaMode: number;
  readonly chromaMode: number;
}

/** Intra 16 x 16 whose only coefficients are the DC differences to a flat neighbour. */
function writeFlat(slice: Slice, index: number, code: FlatCode): void {
  const { bits } = slice;
  const luma = (code.cell >> 16) - (code.predicted >> 16);
  const blue = ((code.cell >> 8) & 0xff) - ((code.predicted >> 8) & 0xff);
  const red = (code.cell & 0xff) - (code.predicted & 0xff);
  const hasChroma = blue !== 0 || red !== 0;
  bits.unsigned(slice.typeOffset + flatType + code.lumaMode + (hasChroma ? 4 : 0));
  bits.unsigned(code.chromaMode);
  bits.put(1, 1); // quantiser unchanged
  writeSingle(bits, luma, nextToDrawn(slice, index) ? besideDrawn : besideFlat);
  if (!hasChroma) return;
  writeSingle(bits, blue, chromaTokens);
  writeSingle(bits, red, chromaTokens);
}

/** One drawn neighbour counts 16 coefficients and a flat one none, so the average is 0, or at least 8. */
function nextToDrawn(slice: Slice, index: number): boolean {
  const { columns } = slice.picture;
  return (
    (index % columns > 0 && slice.drawn[index - 1] === 1) || (index >= columns && slice.drawn[index - columns] === 1)
  );
}

type Token = readonly [code: number, bits: number];
/** coeff_token for no coefficient, for one of +-1, and for one larger (H.264 table 9-5). */
interface Tokens {
  readonly none: Token;
  readonly one: Token;
  readonly larger: Token;
}
const besideFlat: Tokens = { none: [0b1, 1], one: [0b01, 2], larger: [0b000101, 6] };
const besideDrawn: Tokens = { none: [0b000011, 6], one: [0b000001, 6], larger: [0b000000, 6] };
const chromaTokens: Tokens = { none: [0b01, 2], one: [0b1, 1], larger: [0b000111, 6] };

/** A block whose only coefficient is the first one (H.264 9.2.2). */
function writeSingle(bits: BitWriter, level: number, tokens: Tokens): void {
  if (level === 0) return bits.put(...tokens.none);
  if (level === 1 || level === -1) {
    bits.put(...tokens.one);
    bits.put(level < 0 ? 1 : 0, 1);
  } else {
    bits.put(...tokens.larger);
    const code = (level > 0 ? 2 * level - 2 : -2 * level - 1) - 2;
    if (code < 14) bits.put(1, code + 1);
    else if (code < 30) bits.put((1 << 4) | (code - 14), 19);
    else {
      bits.put(1, 16);
      bits.put(code - 30, 12);
    }
  }
  bits.put(1, 1); // no zeros before it
}
