import { Readable } from 'node:stream';
import { DownloadError } from './download-error.ts';
import { onDemand } from './on-demand.ts';

/**
 * Passes a response body on and counts it: the result ends well only after exactly `expected` bytes (any number up to
 * `maxBytes` when that is null). Destroying either side destroys the other, with its connection.
 */
export function meterBody(
  body: Readable,
  limits: {
    readonly expected: number | null;
    readonly maxBytes: number;
    readonly host: string;
    readonly signal: AbortSignal;
  },
): Readable {
  const { expected, maxBytes, host, signal } = limits;
  let seen = 0;
  const ended = (): DownloadError =>
    new DownloadError('incomplete', host, `the body ended after ${seen} of ${expected ?? 'unknown'} bytes.`);
  const meter = new Readable({
    highWaterMark: onDemand,
    read: () => void body.resume(),
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  // A failure before the reader has begun is kept for it, and must not end the process meanwhile.
  meter.on('error', () => undefined);
  body.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen > maxBytes) {
      meter.destroy(new DownloadError('too_large', host, `more than the allowed ${maxBytes} bytes came.`));
    } else if (expected !== null && seen > expected) {
      meter.destroy(new DownloadError('incomplete', host, `more than the announced ${expected} bytes came.`));
    } else {
      body.pause();
      meter.push(chunk);
    }
  });
  body.pause();
  body.once('end', () => {
    if (expected === null || seen === expected) meter.push(null);
    else meter.destroy(ended());
  });
  body.once('error', (error: Error) => {
    if (signal.aborted) meter.destroy(signal.reason instanceof Error ? signal.reason : error);
    else if ('code' in error && error.code === 'UND_ERR_BODY_TIMEOUT') {
      meter.destroy(new DownloadError('unavailable', host, `silence after ${seen} bytes.`, error));
    } else meter.destroy(new DownloadError('incomplete', host, `the connection broke after ${seen} bytes.`, error));
  });
  body.once('close', () => {
    if (!body.readableEnded) meter.destroy(ended());
  });
  return meter;
}
