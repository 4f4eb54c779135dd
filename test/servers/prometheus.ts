/** A real Prometheus on 127.0.0.1 that scrapes what it is told, once a second. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, missingPrograms, startProgram, tempFolder } from './spawn.ts';

/** One result of an instant query. */
export interface PrometheusRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PrometheusServer {
  readonly url: string;
  /** The instant value of an expression, now. @throws Error with what Prometheus says of a wrong one */
  query(expression: string): Promise<readonly PrometheusRow[]>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** Host and port of each process to scrape, by job. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
}

const interval = '1s';

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly resultType: string;
    readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
  };
}

/** Why it cannot be started here; null when it can. */
export function missingPrometheus(): string | null {
  return missingPrograms('prometheus', 'promtool', 'amtool');
}

export async function startPrometheus({ targets }: PrometheusOptions): Promise<PrometheusServer> {
  const folder = await tempFolder('prometheus');
  try {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const jobs = Object.entries(targets).map(([name, addresses]) => ({
      job_name: name,
      static_configs: [{ targets: addresses }],
    }));
    const file = join(folder.path, 'prometheus.yml');
    // JSON is YAML.
    const config = { global: { scrape_interval: interval, evaluation_interval: interval }, scrape_configs: jobs };
    await writeFile(file, JSON.stringify(config));
    const flags = {
      'config.file': file,
      'storage.tsdb.path': join(folder.path, 'data'),
      'web.listen-address': `127.0.0.1:${port}`,
    };
    const program = await startProgram(
      'prometheus',
      Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
      {
        cwd: folder.path,
        logFile: join(folder.path, 'log'),
        ready: async () => (await fetch(`${url}/-/ready`)).ok,
      },
    );
    return {
      url,
      async query(expression) {
        const body = new URLSearchParams({ query: expression });
        const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body });
        const answer = (await response.json()) as Answer; // the HTTP API of Prometheus
        if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error ?? 'no answer'}`);
        return (answer.data?.result ?? []).map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
      },
      stop: () => program.stop().then(folder.remove),
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}
