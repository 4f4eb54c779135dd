export interface ServerSentEvent {
  readonly id: string | null;
  readonly type: string;
  readonly data: string;
  /** What the server asked clients to wait before they connect again. */
  readonly retryMs: number | null;
}

const longestEventChars = 1_000_000;

/**
 * Reads a `text/event-stream` body. An event that is not complete when the stream ends is dropped, as the format wants.
 * @param idleTimeoutMs ends the stream with an error when nothing (not even a heartbeat) came for so long
 * @throws Error when the connection breaks, goes silent, or an event is unreasonably long
 */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array>,
  idleTimeoutMs: number,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let pending = emptyEvent();
  for await (const line of readLines(body, idleTimeoutMs)) {
    if (line === '') {
      if (pending.data.length > 0 || pending.retryMs !== null) yield finish(pending);
      pending = emptyEvent();
    } else {
      addField(pending, line);
    }
  }
}

interface PendingEvent {
  id: string | null;
  type: string;
  data: string[];
  retryMs: number | null;
}

function emptyEvent(): PendingEvent {
  return { id: null, type: 'message', data: [], retryMs: null };
}

function finish(event: PendingEvent): ServerSentEvent {
  return { ...event, data: event.data.join('\n') };
}

function addField(event: PendingEvent, line: string): void {
  const colon = line.indexOf(':');
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'data') event.data.push(value);
  else if (field === 'event') event.type = value;
  else if (field === 'id' && !value.includes('\0')) event.id = value;
  else if (field === 'retry' && /^\d+$/.test(value)) event.retryMs = Number(value);
}

async function* readLines(body: ReadableStream<Uint8Array>, idleTimeoutMs: number): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await readWithin(reader, idleTimeoutMs);
      if (done) return;
      text += decoder.decode(value, { stream: true });
      // A lone CR at the end may be the first half of CRLF: leave it for the next chunk.
      const lines = text.split(/\r\n|\n|\r(?!$)/);
      text = lines.pop() ?? '';
      if (text.length > longestEventChars)
        throw new Error('an event of the stream is longer than a million characters');
      yield* lines;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // the stream may be broken already
  }
}

async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  idleTimeoutMs: number,
): ReturnType<typeof reader.read> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the stream was silent for ${String(idleTimeoutMs)} ms`));
    }, idleTimeoutMs);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
