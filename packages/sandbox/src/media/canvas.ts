import { glyphCell, glyphDot } from './font.ts';
import { flat } from './picture-encoder.ts';

const ink = 226;
const paper = 28;

/** The flat cell of an empty panel. */
export const paperCell = flat(paper, 128, 128);
/** The flat cell of letters made of whole macroblocks. */
export const inkCell = flat(ink, 128, 128);

/** A dark panel of whole macroblocks to write on, in luma samples. */
export interface Canvas {
  readonly columns: number;
  readonly rows: number;
  readonly luma: Uint8Array;
}

/** An empty panel. */
export function createCanvas(columns: number, rows: number): Canvas {
  return { columns, rows, luma: new Uint8Array(columns * rows * 256).fill(paper) };
}

/** Writes one line at a pixel position with dots of `scale` pixels; what does not fit is cut off. */
export function writeLine(canvas: Canvas, line: string, at: { left: number; top: number; scale: number }): void {
  for (const [position, character] of Array.from(line).entries()) {
    const left = at.left + position * glyphCell.width * at.scale;
    if (character === ' ') continue;
    for (let dot = 0; dot < 40; dot++) {
      if (!glyphDot(character, dot % 5, Math.floor(dot / 5))) continue;
      fillDot(canvas, left + (dot % 5) * at.scale, at.top + Math.floor(dot / 5) * at.scale, at.scale);
    }
  }
}

function fillDot(canvas: Canvas, left: number, top: number, scale: number): void {
  const width = canvas.columns * 16;
  const right = Math.min(left + scale, width);
  if (left >= right) return;
  for (let y = top; y < Math.min(top + scale, canvas.rows * 16); y++) {
    canvas.luma.fill(ink, y * width + left, y * width + right);
  }
}

/** The cells of the panel, row by row; drawn ones are added to `tiles`. */
export function toCells(canvas: Canvas, tiles: Uint8Array[]): number[] {
  return Array.from({ length: canvas.columns * canvas.rows }, (_, index) => {
    const tile = cutTile(canvas, index % canvas.columns, Math.floor(index / canvas.columns));
    if (tile.every((sample) => sample === paper)) return paperCell;
    return -tiles.push(tile);
  });
}

function cutTile(canvas: Canvas, column: number, row: number): Uint8Array {
  const tile = new Uint8Array(256);
  for (let y = 0; y < 16; y++) {
    const from = (row * 16 + y) * canvas.columns * 16 + column * 16;
    tile.set(canvas.luma.subarray(from, from + 16), y * 16);
  }
  return tile;
}
