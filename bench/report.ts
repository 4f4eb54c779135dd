/** What a benchmark found, as a table for people and as JSON for programs. */
import { table } from '../packages/cli/src/render/table.ts';

export interface BenchOptions {
  /** A PostgreSQL server on which databases may be created; null leaves out what needs one. */
  readonly database: string | null;
  /** Also runs what takes minutes. */
  readonly long: boolean;
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The target of docs/performance.md; left out where a figure is shown only for comparison. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
}

/** One file of this folder. It ends by itself within a few minutes and leaves nothing behind. */
export type Bench = (options: BenchOptions) => Promise<readonly Figure[]>;

/** @returns lines for a terminal */
export function figureLines(figures: readonly Figure[]): string[] {
  const rows = figures.map((figure) => [
    figure.what,
    `${toText(figure.value)} ${figure.unit}`.trimEnd(),
    targetText(figure),
    figure.target === undefined ? '' : meets(figure) ? 'ok' : 'MISSED',
  ]);
  return table(['WHAT', 'MEASURED', 'TARGET', ''], rows, Infinity);
}

export function meets({ value, target }: Figure): boolean {
  if (target === undefined) return true;
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

/** @param share from 0 to 1; of unsorted values */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function targetText({ target, unit }: Figure): string {
  if (target === undefined) return '';
  return 'atLeast' in target ? `>= ${target.atLeast} ${unit}`.trimEnd() : `<= ${target.atMost} ${unit}`.trimEnd();
}

function toText(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}
