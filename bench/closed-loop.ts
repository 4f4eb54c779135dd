import { quantile } from './report.ts';

export interface Pace {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Every client does one thing after another for a while; the first second warms up and is not counted. */
export async function closedLoop(
  clients: number,
  seconds: number,
  once: (index: number) => Promise<unknown>,
): Promise<Pace> {
  const countedFrom = performance.now() + 1_000;
  const until = countedFrom + seconds * 1_000;
  const times: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    for (;;) {
      const begun = performance.now();
      if (begun >= until) return;
      await once(next++);
      if (begun >= countedFrom) times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const tookS = (performance.now() - countedFrom) / 1_000;
  return { perSecond: times.length / tookS, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}
