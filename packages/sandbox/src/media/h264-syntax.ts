import { BitWriter } from './bit-writer.ts';

/**
 * With this quantiser one luma DC level is exactly one luma step, and with the chroma offset one chroma DC level is exactly
 * one chroma step (H.264 8.5.10, 8.5.11): what we code is what every decoder shows, so prediction never drifts.
 */
const exactQuantiser = 28;
const exactChromaOffset = -6;
const frameNumberBits = 8;

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** How many 16 x 16 macroblocks cover the picture; the surplus is cropped away by the SPS. */
export function macroblocks(size: PictureSize): { columns: number; rows: number } {
  return { columns: Math.ceil(size.width / 16), rows: Math.ceil(size.height / 16) };
}

/** The smallest level (times ten) whose picture size and macroblock rate hold this clip (H.264 table A-1). */
export function levelFor(size: PictureSize, fps: number): number {
  const { columns, rows } = macroblocks(size);
  const area = columns * rows;
  const side = Math.max(columns, rows);
  const found = levels.find(
    ([, maxArea, maxRate]) => area <= maxArea && area * fps <= maxRate && side * side <= maxArea * 8,
  );
  return found?.[0] ?? 62;
}

const levels: readonly (readonly [level: number, maxArea: number, maxRate: number])[] = [
  [20, 396, 11_880],
  [21, 792, 19_800],
  [30, 1_620, 40_500],
  [31, 3_600, 108_000],
  [32, 5_120, 216_000],
  [40, 8_192, 245_760],
  [42, 8_704, 522_240],
  [50, 22_080, 589_824],
  [51, 36_864, 983_040],
  [52, 36_864, 2_073_600],
];

/** Sequence parameter set: Constrained Baseline, one reference frame, no reordering, BT.709 limited range. */
export function sequenceParameters(size: PictureSize, fps: number): Uint8Array {
  const { columns, rows } = macroblocks(size);
  const bits = new BitWriter();
  bits.put(66, 8);
  bits.put(0xc0, 8);
  bits.put(levelFor(size, fps), 8);
  bits.unsigned(0);
  bits.unsigned(frameNumberBits - 4);
  bits.unsigned(2); // picture order = decoding order
  bits.unsigned(1);
  bits.put(0, 1);
  bits.unsigned(columns - 1);
  bits.unsigned(rows - 1);
  bits.put(0b11, 2); // frames only, 8 x 8 direct inference
  const right = (columns * 16 - size.width) / 2;
  const bottom = (rows * 16 - size.height) / 2;
  bits.put(right > 0 || bottom > 0 ? 1 : 0, 1);
  if (right > 0 || bottom > 0) for (const offset of [0, right, 0, bottom]) bits.unsigned(offset);
  bits.put(1, 1);
  writeUsability(bits);
  return nalUnit(0x67, bits.finish());
}

/** VUI: colours for players that would otherwise guess by size, and the promise that no frame is ever held back. */
function writeUsability(bits: BitWriter): void {
  bits.put(0b00, 2); // no aspect ratio, no overscan
  bits.put(1, 1);
  bits.put(5, 3); // video format unspecified
  bits.put(0, 1); // limited range
  bits.put(1, 1);
  for (let field = 0; field < 3; field++) bits.put(1, 8); // BT.709 primaries, transfer, matrix
  bits.put(0b00000, 5); // no chroma location, timing, two HRDs, picture structure
  bits.put(1, 1); // bitstream restriction
  bits.put(1, 1);
  for (const value of [0, 0, 16, 16, 0, 1]) bits.unsigned(value);
}

/** Picture parameter set that fits {@link sequenceParameters}. */
export function pictureParameters(): Uint8Array {
  const bits = new BitWriter();
  bits.unsigned(0);
  bits.unsigned(0);
  bits.put(0b00, 2); // CAVLC
  bits.unsigned(0);
  bits.unsigned(0);
  bits.unsigned(0);
  bits.put(0b000, 3);
  bits.signed(exactQuantiser - 26);
  bits.signed(0);
  bits.signed(exactChromaOffset);
  bits.put(0b100, 3); // slices may switch deblocking off
  return nalUnit(0x68, bits.finish());
}

/** Header of the one slice of an IDR picture; `identity` must differ between neighbouring IDR pictures. */
export function writeKeySliceHeader(bits: BitWriter, identity: number): void {
  bits.unsigned(0);
  bits.unsigned(7);
  bits.unsigned(0);
  bits.put(0, frameNumberBits);
  bits.unsigned(identity);
  bits.put(0b00, 2);
  writeSliceEnd(bits);
}

/** Header of the one slice of a P picture, `frameNumber` pictures after its IDR picture. */
export function writeDeltaSliceHeader(bits: BitWriter, frameNumber: number): void {
  bits.unsigned(0);
  bits.unsigned(5);
  bits.unsigned(0);
  bits.put(frameNumber % 2 ** frameNumberBits, frameNumberBits);
  bits.put(0b000, 3);
  writeSliceEnd(bits);
}

function writeSliceEnd(bits: BitWriter): void {
  bits.signed(0);
  bits.unsigned(1); // no deblocking: it would change the exact colours
}

/** A user-data message that decoders skip; `text` must be plain ASCII of 1 to 238 characters. */
export function userData(text: string): Uint8Array {
  const bits = new BitWriter();
  bits.put(5, 8);
  bits.put(16 + text.length, 8);
  for (const character of 'dailies-sandbox\u0021' + text) bits.put(character.charCodeAt(0) & 0x7f, 8);
  return nalUnit(0x06, bits.finish());
}

/** A NAL unit without start code: header byte, then the payload with emulation prevention (H.264 7.4.1.1). */
export function nalUnit(header: number, payload: Uint8Array): Uint8Array {
  const stops = emulations(payload);
  const unit = new Uint8Array(1 + payload.length + stops.length);
  unit[0] = header;
  let from = 0;
  let to = 1;
  for (const stop of stops) {
    unit.set(payload.subarray(from, stop), to);
    to += stop - from;
    unit[to++] = 3;
    from = stop;
  }
  unit.set(payload.subarray(from), to);
  return unit;
}

function emulations(payload: Uint8Array): number[] {
  const stops: number[] = [];
  let zeros = 0;
  for (let index = 0; index < payload.length; index++) {
    const value = payload[index] ?? 0;
    if (zeros >= 2 && value <= 3) {
      stops.push(index);
      zeros = 0;
    }
    zeros = value === 0 ? zeros + 1 : 0;
  }
  return stops;
}
