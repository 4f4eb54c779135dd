import { cut, widthOf } from './width.ts';

/**
 * Columns aligned by spaces. Where the rows are wider than `columns`, only the last column is cut: put what can be
 * missed there.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[], columns: number): string[] {
  const all = [header, ...rows];
  const last = header.length - 1;
  const widths = header.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0);
  return all.map((row) =>
    row
      .map((cell, column) =>
        column < last
          ? cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell) + 2)
          : cut(cell, Math.max(10, columns - before)),
      )
      .join('')
      .trimEnd(),
  );
}
