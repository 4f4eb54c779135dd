/** An episode ends when nothing was reported for so long. */
const usualQuietMs = 30_000;

/**
 * Lets through the first failure of each episode: a part that is away fails everything that is tried, many times a second, and one line
 * says it.
 * @param report gets the failure, and what was being done
 * @param nowMs a clock that never goes back
 * @returns takes every failure
 */
export function createEpisodes(
  report: (error: Error, while_: string) => void,
  options: { readonly quietMs?: number; readonly nowMs?: () => number } = {},
): (error: Error, while_: string) => void {
  const { quietMs = usualQuietMs, nowMs = () => performance.now() } = options;
  const lastMs = new Map<string, number>();
  return (error, while_) => {
    const now = nowMs();
    const last = lastMs.get(while_);
    lastMs.set(while_, now);
    if (last === undefined || now - last > quietMs) report(error, while_);
  };
}
