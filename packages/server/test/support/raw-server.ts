import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** For tests: a server that reads requests and answers with whatever bytes, or by breaking the connection. */
export interface RawServer {
  readonly origin: string;
  /** Every request whose last byte has arrived, in order. */
  readonly requests: readonly RawRequest[];
  connections(): number;
  close(): Promise<void>;
}

export interface RawRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type RawAnswer = (request: RawRequest, socket: Socket, index: number) => void;

export async function startRawServer(answer: RawAnswer): Promise<RawServer> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    let pending = '';
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      for (let next = takeRequest(pending); next; next = takeRequest(pending)) {
        pending = next.rest;
        requests.push(next.request);
        answer(next.request, socket, requests.length - 1);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A complete HTTP answer with a JSON body. */
export function jsonAnswer(status: number, body: unknown, headers: readonly string[] = []): string {
  return textAnswer(status, JSON.stringify(body), ['Content-Type: application/json', ...headers]);
}

export function textAnswer(status: number, body: string, headers: readonly string[] = []): string {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  return [`HTTP/1.1 ${status} Answer`, ...headers, length, '', body].join('\r\n');
}

function takeRequest(text: string): { request: RawRequest; rest: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const length = Number(headers['content-length'] ?? 0);
  const rest = text.slice(end + 4);
  if (rest.length < length) return undefined;
  const [method = '', path = ''] = first.split(' ');
  return { request: { method, path, headers, body: rest.slice(0, length) }, rest: rest.slice(length) };
}
