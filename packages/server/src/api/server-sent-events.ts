import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** One message of a stream. Without an id it does not move the reader's place. */
export interface StreamMessage {
  readonly id?: string;
  readonly event: string;
  readonly data: unknown;
}

/** The streams of one server, so that closing it can end them. */
export interface Streams {
  /**
   * Answers with messages as they come. The generator is read only as fast as the client reads; its signal fires when
   * the client goes away or the server closes, and it must then return soon.
   */
  send(
    reply: FastifyReply,
    messages: (signal: AbortSignal) => AsyncGenerator<StreamMessage | 'heartbeat'>,
  ): FastifyReply;
  /** Ends every stream, and every later one at once. */
  close(): void;
}

/** @param onChange told how many more streams are open: 1 or -1 */
export function createStreams(onChange: (by: 1 | -1) => void = () => {}): Streams {
  const open = new Set<AbortController>();
  let closed = false;
  return {
    send(reply, messages) {
      const controller = new AbortController();
      open.add(controller);
      onChange(1);
      if (closed) controller.abort();
      reply.raw.once('close', () => {
        open.delete(controller);
        onChange(-1);
        controller.abort();
      });
      return reply
        .type('text/event-stream; charset=utf-8')
        .headers({
          'cache-control': 'no-store',
          'x-accel-buffering': 'no', // proxies must pass messages on at once
          connection: 'close', // nothing follows a stream; an idle connection would delay shutdown
        })
        .send(Readable.from(frames(messages(controller.signal)), { objectMode: false, highWaterMark: 16_384 }));
    },
    close() {
      closed = true;
      for (const controller of open) controller.abort();
    },
  };
}

async function* frames(messages: AsyncGenerator<StreamMessage | 'heartbeat'>): AsyncGenerator<string> {
  yield 'retry: 2000\n\n'; // also sends the headers before the first message
  for await (const message of messages) yield message === 'heartbeat' ? ': keep-alive\n\n' : frame(message);
}

function frame({ id, event, data }: StreamMessage): string {
  // JSON has no raw line breaks, so one data line is always enough.
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
