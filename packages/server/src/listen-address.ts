import { createServer, type AddressInfo } from 'node:net';

/** A port that was asked for, or a free one: links and callback addresses need to know it before anything listens. */
export async function choosePort(host: string, wanted: number): Promise<number> {
  if (wanted !== 0) return wanted;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether something listens there already. */
export async function isPortTaken(host: string, port: number): Promise<boolean> {
  const server = createServer();
  const isTaken = await new Promise<boolean>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    server.listen(port, host, () => resolve(false));
  });
  if (!isTaken) await new Promise((resolve) => server.close(resolve));
  return isTaken;
}

/** Where this machine reaches what listens on `host`. */
export function localUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
