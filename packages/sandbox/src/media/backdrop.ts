import { flat } from './picture-encoder.ts';

/** Colour of the macroblock at a column and row. */
export type Backdrop = (column: number, row: number) => number;

export interface BackdropOptions {
  readonly columns: number;
  readonly rows: number;
  /** Any number; chooses colours and course. */
  readonly seed: number;
}

const steps = 256;
const wheel = Array.from({ length: steps }, (_, index) => {
  const angle = (index / steps) * 2 * Math.PI;
  return [even(128 + 44 * Math.cos(angle)), even(128 + 44 * Math.sin(angle))] as const;
});

/** Slow coloured waves with a light drifting through them; `seconds` chooses the moment. */
export function createBackdrop(options: BackdropOptions): (seconds: number) => Backdrop {
  const { columns, rows } = options;
  const hue = scatter(options.seed, 1) * steps;
  const phase = scatter(options.seed, 2) * 2 * Math.PI;
  const unit = Math.max(columns, rows);
  return (seconds) => {
    const across = waves(columns, (at) => (at / unit) * 5 + phase + seconds * 0.7);
    const down = waves(rows, (at) => (at / unit) * 6 - phase - seconds * 0.5);
    const diagonal = waves(columns + rows, (at) => (at / unit) * 4 + phase * 2 - seconds * 0.9);
    const lightColumn = columns * (0.5 + 0.38 * Math.cos(phase + seconds * 0.8));
    const lightRow = rows * (0.4 + 0.28 * Math.sin(phase * 3 + seconds * 1.1));
    const reach = (unit * 0.13) ** 2;
    return (column, row) => {
      const wave = (across[column] ?? 0) + (down[row] ?? 0) + (diagonal[column + row] ?? 0);
      const colour = wheel[Math.trunc(hue + wave * 22 + steps) % steps] ?? [128, 128];
      const far = ((column - lightColumn) ** 2 + (row - lightRow) ** 2) / reach;
      const light = far > 4 ? 0 : 70 * (1 - far / 4) ** 2;
      return flat(even(94 + wave * 12 + light), colour[0], colour[1]);
    };
  };
}

function waves(count: number, angle: (at: number) => number): number[] {
  return Array.from({ length: count }, (_, at) => Math.sin(angle(at)));
}

/** Even values only: half as many macroblocks change per frame, and nobody sees the difference. */
function even(value: number): number {
  return Math.round(value / 2) * 2;
}

/** A number in [0, 1) that looks unrelated to its neighbours. */
function scatter(seed: number, salt: number): number {
  const value = Math.sin((seed % 1_000_003) * 12.9898 + salt * 78.233) * 43_758.5453;
  return value - Math.floor(value);
}
