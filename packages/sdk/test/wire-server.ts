import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

export interface WireServer {
  readonly url: string;
  readonly seen: SeenRequest[];
  close(): Promise<void>;
}

/** A real HTTP server that answers request after request with the given answers; the last one stays. */
export async function startWireServer(...answers: readonly Answer[]): Promise<WireServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const { method = '', url = '', headers } = request;
      const entry = { method, url, headers, body };
      seen.push(entry);
      await answers[Math.min(seen.length, answers.length) - 1]?.(entry, response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP
  return {
    url: `http://127.0.0.1:${String(port)}`,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
}

export function problem(status: number, body: object, headers: Record<string, string> = {}): Answer {
  return json(status, { status, ...body }, { 'content-type': 'application/problem+json', ...headers });
}

/** Takes the request and drops the connection. */
export const hangUp: Answer = (_, response) => {
  response.destroy();
};

export function video(status: string, more: object = {}): Record<string, unknown> {
  return { id: 'vid_1', job_id: 'vid_1', status, queue: null, charged_credits: null, file: null, error: null, ...more };
}

/**
 * Sends events as the server does, as `[seq, type]`. `end` says that nothing can come any more, `close` just ends,
 * `cut` breaks the connection, `keep` says nothing more.
 */
export function stream(
  events: readonly (readonly [number, string])[],
  end: 'end' | 'close' | 'cut' | 'keep' = 'end',
): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\nretry: 5\n\n');
    for (const [seq, type] of events) {
      const data = JSON.stringify({ seq, video_id: 'vid_1', type, data: {}, created_at: '2026-01-01T00:00:00Z' });
      response.write(`id: ${String(seq)}\nevent: ${type}\ndata: ${data}\n\n`);
    }
    if (end === 'end') response.end('event: end\ndata: {}\n\n');
    if (end === 'close') response.end();
    if (end === 'cut') setImmediate(() => response.destroy());
  };
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
