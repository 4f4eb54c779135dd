/**
 * Builds a path from a template: every value is encoded, so that it stays one segment whatever it holds.
 * @throws TypeError for a value that would address something else: empty, `.` or `..`
 */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((built, part, index) => `${built}${segment(values[index - 1] ?? '')}${part}`);
}

function segment(value: string): string {
  if (value === '' || value === '.' || value === '..') {
    throw new TypeError(
      `${JSON.stringify(value)} is not an id: an id is at least one character and not a dot segment.`,
    );
  }
  return encodeURIComponent(value);
}
