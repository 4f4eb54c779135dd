import { ConnectionError, DailiesError } from './errors.ts';
import { path } from './path.ts';
import { pause, waitBeforeRetryMs } from './retry.ts';
import { readServerSentEvents } from './server-sent-events.ts';
import type { Transport } from './transport.ts';
import { isFinalStatus } from './status.ts';
import type { Video, VideoEvent } from './types.ts';

export interface EventsOptions {
  /** Goes on after this event; absent: from the first. */
  readonly lastEventId?: string;
  readonly signal?: AbortSignal;
}

export interface EventStreamSettings {
  readonly retryBaseMs: number;
  readonly idleTimeoutMs: number;
}

/** Consecutive failures after which a stream is given up: about half a minute. */
const mostFailures = 10;

/**
 * Events of one video, in order and each once, across broken connections and server restarts. Ends when
 * nothing can come any more: a canceled video, for example, still waits for its charge.
 * @throws DailiesError when the server refuses, or cannot be reached for about half a minute
 */
export async function* readVideoEvents(
  transport: Transport,
  id: string,
  options: EventsOptions,
  settings: EventStreamSettings,
): AsyncGenerator<VideoEvent, void, undefined> {
  const connection = { lastEventId: options.lastEventId, retryBaseMs: settings.retryBaseMs, ended: false };
  let lastSeq = 0;
  let failures = 0;
  for (;;) {
    let received = 0;
    try {
      for await (const event of readOnce(transport, id, options.signal, connection, settings)) {
        if (event.seq <= lastSeq) continue;
        lastSeq = event.seq;
        received++;
        failures = 0;
        yield event;
      }
      if (connection.ended) return;
      if (received === 0 && (await isFinal(transport, id, options.signal))) return;
      failures++;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof DailiesError) || !error.retryable || ++failures > mostFailures) throw error;
    }
    await pause(waitBeforeRetryMs(Math.max(1, failures), connection.retryBaseMs, null) ?? 0, options.signal);
  }
}

interface Connection {
  lastEventId: string | undefined;
  retryBaseMs: number;
  /** The server said that nothing can come any more. */
  ended: boolean;
}

async function* readOnce(
  transport: Transport,
  id: string,
  signal: AbortSignal | undefined,
  connection: Connection,
  settings: EventStreamSettings,
): AsyncGenerator<VideoEvent, void, undefined> {
  const response = await transport.open({
    method: 'GET',
    path: path`/api/videos/${id}/events`,
    headers: {
      accept: 'text/event-stream',
      ...(connection.lastEventId === undefined ? {} : { 'last-event-id': connection.lastEventId }),
    },
    signal,
    repeatable: false, // the caller's loop connects again, and knows where it stopped
  });
  if (!response.body) return;
  try {
    for await (const event of readServerSentEvents(response.body, settings.idleTimeoutMs)) {
      if (event.retryMs !== null) connection.retryBaseMs = event.retryMs;
      if (event.id !== null) connection.lastEventId = event.id;
      if (event.type === 'end') connection.ended = true;
      else if (event.data !== '') yield JSON.parse(event.data) as VideoEvent; // the server's contract
    }
  } catch (error) {
    if (error instanceof DailiesError) throw error;
    throw new ConnectionError(`The event stream of ${id} broke.`, error);
  }
}

async function isFinal(transport: Transport, id: string, signal: AbortSignal | undefined): Promise<boolean> {
  const { status } = await transport.json<Pick<Video, 'status'>>({
    method: 'GET',
    path: path`/api/videos/${id}`,
    signal,
    repeatable: true,
  });
  return isFinalStatus(status);
}
