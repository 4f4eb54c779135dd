/** How many inserted, dropped, changed or swapped letters lie between two words. */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}

/** Longer words are no typing mistakes of ours, and comparing them would cost time that the caller chooses. */
const comparableLength = 40;

/**
 * The known names that `name` may be a misspelling of, nearest first. Names that differ only in case, hyphens and
 * underscores are the same word. Empty when nothing is near.
 */
export function nearestNames(name: string, known: readonly string[], most = 1): readonly string[] {
  if (name.length > comparableLength) return [];
  const wanted = squash(name);
  const tolerance = Math.max(1, Math.floor(wanted.length / 3));
  return known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, squash(candidate)) }))
    .filter(({ distance }) => distance <= tolerance)
    .toSorted((left, right) => left.distance - right.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

function squash(name: string): string {
  return name.toLowerCase().replaceAll(/[-_\s]/g, '');
}

/** A user's value as it is shown back to them: quoted, escaped and short. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 56).toWellFormed()}...${text.startsWith('"') ? '"' : ''}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function either(items: readonly (string | number)[], word = 'or'): string {
  const all = items.map(String);
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${word} ${all.at(-1)}`;
}
