import type { PGlite } from '@electric-sql/pglite';
import { Client, type Pool } from 'pg';
import { asError } from '../kernel/errors.ts';

/** A subscription to one NOTIFY channel. Notifications only save waiting: whoever listens polls as well. */
export interface Listening {
  close(): Promise<void>;
}

export interface Listener {
  onNotification(payload: string): void;
  /** Subscribed, for the first time or again; anything may have been missed before. */
  onSubscribed(): void;
  onError(error: Error, while_: string): void;
}

const reconnectMs = 1_000;

export async function listenOnPglite(pglite: PGlite, channel: string, listener: Listener): Promise<Listening> {
  const unlisten = await pglite.listen(channel, (payload) => listener.onNotification(payload));
  listener.onSubscribed();
  return { close: () => (pglite.closed ? Promise.resolve() : unlisten()) };
}

/** Holds one connection of its own, outside the pool, and replaces it whenever it breaks. */
export async function listenOnPostgres(pool: Pool, channel: string, listener: Listener): Promise<Listening> {
  let closed = false;
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function connect(): Promise<void> {
    const next = new Client({ ...pool.options, application_name: 'dailies listener' });
    client = next;
    let broken = false;
    const breaks = (error: Error): void => {
      if (closed || broken) return;
      broken = true;
      listener.onError(error, 'listening for queue notifications');
      void next.end().catch(() => {});
      timer = setTimeout(() => void connect(), reconnectMs);
    };
    next.on('error', breaks);
    next.on('end', () => breaks(new Error('The connection ended.')));
    next.on('notification', ({ payload }) => listener.onNotification(payload ?? ''));
    try {
      await next.connect();
      await next.query(`listen ${next.escapeIdentifier(channel)}`);
      listener.onSubscribed();
    } catch (error) {
      breaks(asError(error));
    }
  }

  await connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}
