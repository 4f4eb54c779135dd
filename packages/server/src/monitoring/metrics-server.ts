import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asError } from '../kernel/errors.ts';
import { readyHttpStatus, type Health } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A free port will do when that one is taken. */
  readonly mayGiveWay: boolean;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * A listener of its own for those who watch: `/metrics`, `/healthz`, `/readyz`. It asks for no key, so it belongs into a network of ours.
 * @throws Error with the code of Node when the port cannot be had
 */
export async function startMetricsServer(
  { metrics, health }: { readonly metrics: Metrics; readonly health: Pick<Health, 'live' | 'ready'> },
  options: MetricsServerOptions,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    void answer(request.method === 'GET' || request.method === 'HEAD' ? path : undefined, response).catch(
      (error: unknown) => {
        response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end(asError(error).name);
      },
    );
  });
  server.requestTimeout = 10_000;
  async function answer(path: string | undefined, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      const { contentType, body } = await metrics.text();
      response.writeHead(200, { 'content-type': contentType }).end(body);
    } else if (path === '/healthz') {
      json(response, 200, health.live());
    } else if (path === '/readyz') {
      const report = await health.ready();
      json(response, readyHttpStatus(report), report);
    } else {
      response
        .writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
        .end('There are /metrics, /healthz and /readyz.');
    }
  }
  await listen(server, options);
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { host, port, mayGiveWay }: MetricsServerOptions): Promise<void> {
  const tryPort = (number: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(number, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await tryPort(port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // listen fails with errors of the system
    if (!mayGiveWay || code !== 'EADDRINUSE') throw error;
    await tryPort(0);
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}
