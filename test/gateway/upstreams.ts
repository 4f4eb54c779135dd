/** Replicas that misbehave on purpose, which a real one does not on command. */
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface Upstream {
  readonly port: number;
  /** First line of each request that arrived whole. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Breaks the connection instead of an answer. */
export const reset = Symbol('reset');

/** What becomes of a request once it has arrived; a text is the whole answer. */
export type Reaction = typeof reset | string;

export const accepted = 'HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}';

/** @param react told how many requests came before, and the head of this one */
export async function startUpstream(react: (before: number, head: string) => Reaction): Promise<Upstream> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const [head = '', body] = text.split('\r\n\r\n');
      if (body === undefined || body.length < Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) return;
      text = '';
      const reaction = react(requests.length, head);
      requests.push(head.split('\r\n')[0] ?? '');
      if (reaction === reset) socket.resetAndDestroy();
      else socket.write(reaction);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    port,
    requests,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As `GATEWAY_API_SERVERS`, so that a replica that failed is asked again at once. */
export function neverLeftOut(...upstreams: readonly Upstream[]): string {
  return upstreams.map(({ port }) => `server 127.0.0.1:${String(port)} max_fails=0;`).join(' ');
}
