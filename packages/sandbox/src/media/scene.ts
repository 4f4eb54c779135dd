import { createBackdrop } from './backdrop.ts';
import { type Canvas, createCanvas, inkCell, toCells, writeLine } from './canvas.ts';
import { glyphCell, glyphDot, wrapText } from './font.ts';
import { macroblocks } from './h264-syntax.ts';
import { flat, type Picture } from './picture-encoder.ts';
import type { ClipSpec } from './render.ts';

const title = 'SANDBOX';
const defaultLabel = 'SANDBOX - made on this machine, not by Kling';
/** Overlay cell where the backdrop shows through. */
const clear = 0x7fffffff;
const barCell = flat(190, 100, 110);
const trackCell = flat(62, 128, 128);

/** The picture at each frame: moving colours, SANDBOX in large letters, and a panel with prompt, clock and progress bar. */
export function createScene(spec: ClipSpec): (frame: number) => Picture {
  const { columns, rows } = macroblocks(spec);
  const tiles: Uint8Array[] = [];
  const overlay = new Int32Array(columns * rows).fill(clear);
  const panel = drawPanel(spec, overlay, tiles);
  drawTitle(overlay, columns, panel.top);
  const backdrop = createBackdrop({ columns, rows, seed: spec.seed });
  let clockText = '';
  return (frame) => {
    const seconds = frame / spec.fps;
    const clock = clockAt(seconds);
    if (clock !== clockText) {
      place(overlay, columns, { ...panel.clock, cells: toCells(clockCanvas(panel, clock), tiles) });
      clockText = clock;
    }
    const filled = Math.round((panel.bar.width * (frame + 1)) / spec.frames);
    const barStart = panel.bar.row * columns + panel.bar.column;
    overlay.fill(barCell, barStart, barStart + filled).fill(trackCell, barStart + filled, barStart + panel.bar.width);
    const colour = backdrop(seconds);
    const cells = overlay.map((cell, index) =>
      cell === clear ? colour(index % columns, Math.floor(index / columns)) : cell,
    );
    return { columns, rows, cells, tiles };
  };
}

/** The word alone over a still colour: what a tiny clip shows. */
export function createStill(spec: ClipSpec): Picture {
  const { columns, rows } = macroblocks(spec);
  const overlay = new Int32Array(columns * rows).fill(clear);
  drawTitle(overlay, columns, rows);
  return { columns, rows, cells: overlay.map((cell) => (cell === clear ? flat(70, 150, 110) : cell)), tiles: [] };
}

/** Letters with one macroblock (or more) per dot; a picture too narrow for them has the word in the panel only. */
function drawTitle(overlay: Int32Array, columns: number, rowsFree: number): void {
  const dots = title.length * glyphCell.width - 1;
  const scale = Math.min(Math.floor((columns - 2) / dots), Math.floor(rowsFree / 9));
  if (scale < 1) return;
  const left = Math.floor((columns - dots * scale) / 2);
  const top = Math.floor((rowsFree - 7 * scale) / 2);
  for (let row = 0; row < 7 * scale; row++) {
    for (let column = 0; column < dots * scale; column++) {
      const dot = Math.floor(column / scale);
      const character = title[Math.floor(dot / glyphCell.width)] ?? ' ';
      const inGap = dot % glyphCell.width === glyphCell.width - 1;
      if (inGap || !glyphDot(character, dot % glyphCell.width, Math.floor(row / scale))) continue;
      overlay[(top + row) * columns + left + column] = inkCell;
    }
  }
}

interface Panel {
  readonly top: number;
  readonly scale: number;
  readonly clock: { readonly column: number; readonly row: number; readonly width: number; readonly height: number };
  readonly bar: { readonly column: number; readonly row: number; readonly width: number };
}

/** Writes label and prompt as large as they fit into the lower half, and leaves room for clock and bar. */
function drawPanel(spec: ClipSpec, overlay: Int32Array, tiles: Uint8Array[]): Panel {
  const { columns, rows } = macroblocks(spec);
  const visibleRows = Math.floor(spec.height / 16);
  const margin = columns > 30 ? 2 : 0;
  const width = Math.floor(spec.width / 16) - 2 * margin;
  const { lines, scale } = fitText(spec, { width: (width - 2) * 16, height: Math.floor(rows * 0.55) * 16 });
  const textRows = Math.ceil((lines.length * lineHeight(scale)) / 16);
  const clockSize = { width: Math.ceil((7 * glyphCell.width * scale) / 16), height: Math.ceil((9 * scale) / 16) };
  const height = Math.min(visibleRows, textRows + clockSize.height + 2);
  const top = visibleRows - height - Math.min(margin, visibleRows - height);
  const canvas = createCanvas(width, height);
  for (const [index, line] of lines.entries()) {
    writeLine(canvas, line, { left: 16, top: 12 + index * lineHeight(scale), scale });
  }
  place(overlay, columns, { column: margin, row: top, width, cells: toCells(canvas, tiles) });
  const row = top + height - clockSize.height - 1;
  const barColumn = margin + 1 + clockSize.width + 1;
  return {
    top,
    scale,
    clock: { column: margin + 1, row, ...clockSize },
    bar: { column: barColumn, row, width: Math.max(0, margin + width - 1 - barColumn) },
  };
}

function fitText(spec: ClipSpec, area: { width: number; height: number }): { lines: string[]; scale: number } {
  const largest = Math.max(1, Math.round(spec.width / 427));
  for (let scale = largest; ; scale--) {
    const width = Math.max(4, Math.floor(area.width / (glyphCell.width * scale)));
    const linesMax = Math.max(2, Math.floor(area.height / lineHeight(scale)) - 2);
    const label = wrapText(spec.label ?? defaultLabel, width, 1);
    const prompt = wrapText(spec.prompt, width, linesMax + 1);
    if (label.length + prompt.length <= linesMax) return { lines: [...label, ...prompt], scale };
    if (scale === 1 || scale <= largest - 2) {
      return { lines: [...label, ...wrapText(spec.prompt, width, linesMax - label.length)], scale };
    }
  }
}

function lineHeight(scale: number): number {
  return (glyphCell.height + 2) * scale;
}

function clockAt(seconds: number): string {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${String(Math.floor(tenths / 10) % 60).padStart(2, '0')}.${tenths % 10}`;
}

function clockCanvas(panel: Panel, clock: string): Canvas {
  const canvas = createCanvas(panel.clock.width, panel.clock.height);
  writeLine(canvas, clock, { left: 0, top: 0, scale: panel.scale });
  return canvas;
}

function place(
  overlay: Int32Array,
  columns: number,
  area: { column: number; row: number; width: number; cells: readonly number[] },
): void {
  for (const [index, cell] of area.cells.entries()) {
    overlay[(area.row + Math.floor(index / area.width)) * columns + area.column + (index % area.width)] = cell;
  }
}
