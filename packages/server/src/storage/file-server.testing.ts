import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createDownloader, type Downloader, type DownloadPolicy } from './download.ts';

export interface FileServer {
  readonly origin: string;
  /** Every request, in order. */
  readonly requests: readonly IncomingMessage[];
  handler: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

/** A real HTTP server on loopback whose behaviour a test sets. */
export async function startFileServer(): Promise<FileServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    fileServer.handler(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const fileServer: FileServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    handler: (_request, response) => void response.writeHead(404).end(),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return fileServer;
}

/** Serves a file with ranges and an ETag, or without any ranges. `write` may send other bytes than it should. */
export function serveFile(
  data: Buffer,
  options: {
    readonly ranges?: boolean;
    readonly etag?: string | null;
    readonly length?: boolean;
    readonly write?: (response: ServerResponse, body: Buffer) => void;
  } = {},
): FileServer['handler'] {
  const { ranges = true, etag = '"one"', length = true } = options;
  const write = options.write ?? ((response, body) => void Readable.from(inChunks(body)).pipe(response));
  return (request, response) => {
    if (etag !== null) response.setHeader('etag', etag);
    const match = ranges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') : null;
    const ifRange = request.headers['if-range'];
    if (match && (ifRange === undefined || ifRange === etag)) {
      const [start, end] = [Number(match[1]), Number(match[2])];
      const body = data.subarray(start, end + 1);
      response.writeHead(206, {
        'content-range': `bytes ${start}-${end}/${data.length}`,
        'content-length': body.length,
      });
      write(response, body);
    } else {
      response.writeHead(200, length ? { 'content-length': data.length } : {});
      write(response, data);
    }
  };
}

function* inChunks(data: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < data.length; offset += 65_536) yield data.subarray(offset, offset + 65_536);
}

/** A downloader that trusts one loopback origin, as in development with the sandbox. */
export function createTestDownloader(
  server: FileServer,
  policy: Partial<DownloadPolicy> = {},
  deps: Parameters<typeof createDownloader>[1] = {},
): Downloader {
  const defaults: DownloadPolicy = {
    allowedHosts: ['.klingai.com', 'files.example'],
    trustedOrigins: [server.origin],
    maxBytes: 100_000_000,
    maxRedirects: 3,
    connectTimeoutMs: 5000,
    idleTimeoutMs: 20_000,
  };
  return createDownloader({ ...defaults, ...policy }, deps);
}
