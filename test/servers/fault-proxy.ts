/** A TCP proxy that can do to connections what networks do: slow down, fall silent, break, refuse. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface FaultProxy {
  readonly port: number;
  /** From now on nothing is passed on, either way, and nothing is closed; new connections stay silent too. */
  blackHole(): void;
  /** From now on new connections are reset at once. */
  refuse(): void;
  /** Resets every connection; new ones work. @returns how many */
  cut(): number;
  /** Delays everything that is passed on by that many ms; 0 ends it. */
  delay(ms: number): void;
  /** Ends silence and refusal. What was swallowed stays lost, so connections of that time are reset. */
  mend(): void;
  /** Connections ever begun. */
  readonly connections: number;
  stop(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export async function startFaultProxy(target: { readonly host?: string; readonly port: number }): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  let mode: 'pass' | 'silent' | 'refuse' = 'pass';
  let delayMs = 0;
  let connections = 0;

  function pass(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (mode === 'silent') return;
      if (delayMs === 0) return void to.write(chunk);
      setTimeout(() => !to.destroyed && to.write(chunk), delayMs);
    });
  }

  const listener = createServer((client) => {
    connections++;
    if (mode === 'refuse') return void client.resetAndDestroy();
    const server = connect(target.port, target.host ?? '127.0.0.1');
    const pair = { client, server };
    pairs.add(pair);
    const end = (): void => {
      // Nobody hears of an end through a hole.
      if (mode === 'silent') return;
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
    pass(client, server);
    pass(server, client);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });

  function cut(): number {
    const count = pairs.size;
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    pairs.clear();
    return count;
  }

  return {
    port: (listener.address() as AddressInfo).port, // a TCP server that listens has one
    blackHole() {
      mode = 'silent';
    },
    refuse() {
      mode = 'refuse';
    },
    cut,
    delay(ms) {
      delayMs = ms;
    },
    mend() {
      if (mode === 'silent') cut();
      mode = 'pass';
    },
    get connections() {
      return connections;
    },
    async stop() {
      mode = 'refuse';
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
