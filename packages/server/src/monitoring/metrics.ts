import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { asError } from '../kernel/errors.ts';
import { metricList, type MetricName, type MetricRow } from './metric-list.ts';

type NamesOf<Type extends MetricRow['type']> = {
  [Name in MetricName]: (typeof metricList)[Name]['type'] extends Type ? Name : never;
}[MetricName];
type Labels = Readonly<Record<string, string | number>>;

/** One value of a metric, as a reader of figures gives it. */
export interface Sample {
  readonly name: NamesOf<'gauge'>;
  readonly labels?: Labels;
  readonly value: number;
}

/** What this process counts and measures, and what it reads for everyone. Counting is a few map look-ups and never throws. */
export interface Metrics {
  /** @param by a whole or broken number, never negative; 1 unless given */
  count(name: NamesOf<'counter'>, labels?: Labels, by?: number): void;
  /** @param seconds in seconds */
  observe(name: NamesOf<'histogram'>, seconds: number, labels?: Labels): void;
  /** Moves a gauge of this process. */
  move(name: NamesOf<'gauge'>, by: number): void;
  /** Sets a gauge that does not change. */
  set(sample: Sample): void;
  /**
   * Asks `read` whenever somebody looks, at most once in `freshMs`. Where it fails, its gauges are absent: an old figure looks like a good one.
   * @param what names them when they cannot be read
   * @param read the values of some gauges; those that it leaves out are absent
   */
  addFigures(what: string, read: () => Promise<readonly Sample[]>, options?: FiguresOptions): void;
  /** In the text format of Prometheus. */
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface FiguresOptions {
  /** How long what was read is good; a read that failed is tried again at the next look. */
  readonly freshMs?: number;
  /** How long somebody who looks waits for it; less than a scrape may take. What comes later is there for the next one. */
  readonly timeoutMs?: number;
  /** Gauge that says whether reading worked. */
  readonly up?: NamesOf<'gauge'>;
}

const usualFreshMs = 3_000;
const usualTimeoutMs = 5_000;
/** Values of a label combination that one metric keeps; more is a bug, and Prometheus would suffer from it. */
const seriesMax = 1_000;

export interface MetricsOptions {
  /** Told of every failed read. */
  readonly onError?: (error: Error, what: string) => void;
}

export function createMetrics({ onError = () => {} }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const seen = new Map<string, Set<string>>();
  const readers: (() => Promise<void>)[] = [];
  collectDefaultMetrics({ register: registry });
  for (const [name, row] of rows) {
    const options = { name, help: row.help, labelNames: [...row.labels], registers: [registry] };
    if (row.type === 'counter') counters.set(name, new Counter(options));
    if (row.type === 'gauge') gauges.set(name, new Gauge(options));
    if (row.type === 'histogram')
      histograms.set(name, new Histogram({ ...options, buckets: [...(row.buckets ?? [])] }));
  }
  for (const [name, instrument] of gauges) if (isFigure(name)) clear(instrument, name);

  function isRoom(name: string, labels: Labels): boolean {
    const key = Object.values(labels).join('\n');
    const known = seen.get(name) ?? new Set();
    seen.set(name, known);
    if (known.has(key)) return true;
    if (known.size >= seriesMax) return false;
    known.add(key);
    return true;
  }

  function addReader(what: string, read: () => Promise<readonly Sample[]>, options: FiguresOptions): void {
    const { freshMs = usualFreshMs, timeoutMs = usualTimeoutMs, up } = options;
    let readAt = Number.NEGATIVE_INFINITY;
    let reading: Promise<void> | undefined;
    let shown: readonly Sample[] = [];
    const show = (samples: readonly Sample[], isUp: boolean): void => {
      for (const name of new Set(shown.map((sample) => sample.name))) clear(gauges.get(name), name);
      for (const { name, labels = {}, value } of samples) gauges.get(name)?.set({ ...labels }, value);
      shown = samples;
      if (up !== undefined) gauges.get(up)?.set(isUp ? 1 : 0);
    };
    async function refresh(): Promise<void> {
      try {
        show(await read(), true);
        readAt = performance.now();
      } catch (error) {
        show([], false);
        onError(asError(error), what);
      }
    }
    readers.push(async () => {
      if (performance.now() - readAt < freshMs) return;
      reading ??= refresh().finally(() => (reading = undefined));
      const late = Symbol('late');
      const { promise, resolve } = Promise.withResolvers<typeof late>();
      const timer = setTimeout(resolve, timeoutMs, late);
      if ((await Promise.race([reading, promise])) === late) show([], false);
      clearTimeout(timer);
    });
  }

  return {
    count(name, labels = {}, by = 1) {
      if (isRoom(name, labels)) counters.get(name)?.inc({ ...labels }, by);
    },
    observe(name, seconds, labels = {}) {
      if (isRoom(name, labels)) histograms.get(name)?.observe({ ...labels }, Math.max(0, seconds));
    },
    move: (name, by) => gauges.get(name)?.inc(by),
    set: ({ name, labels = {}, value }) => gauges.get(name)?.set({ ...labels }, value),
    addFigures: (what, read, options = {}) => addReader(what, read, options),
    async text() {
      await Promise.all(readers.map((read) => read()));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

const rows: ReadonlyMap<string, MetricRow> = new Map(Object.entries<MetricRow>(metricList));

/** Gauges of the process that are read, not moved. */
const readByProcess: ReadonlySet<string> = new Set<MetricName>(['dailies_queue_up', 'dailies_figures_up']);

/** Whether a gauge has no value until somebody has read it. */
function isFigure(name: string): boolean {
  return rows.get(name)?.scope === 'platform' || readByProcess.has(name);
}

/** A gauge without labels would otherwise say 0 where nobody knows. */
function clear(instrument: Gauge | undefined, name: string): void {
  instrument?.reset();
  if (rows.get(name)?.labels.length === 0) instrument?.remove();
}
