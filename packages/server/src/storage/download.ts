/**
 * Guarded download of files whose addresses come from outside. A provider's answer (or whoever could forge or redirect
 * it) must not make this process reach an internal service, leak anything, fill the disk or wait for ever. So: https and
 * listed hosts only; addresses checked at the moment of connecting; redirects followed by hand, each hop checked like
 * the first; no cookies, credentials or referrer ever; sizes capped while streaming; every silence timed.
 */
import { lookup } from 'node:dns/promises';
import type { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import type { ResolvedAddress } from '../kernel/guarded-lookup.ts';
import type { ByteRange } from './blob-store.ts';
import { DownloadError } from './download-error.ts';
import { checkTarget, createDownloadLookup, type DownloadPolicy } from './download-policy.ts';
import { meterBody } from './metered-body.ts';
import { onDemand } from './on-demand.ts';

export type { DownloadPolicy } from './download-policy.ts';

/** One file at a provider, as it was at the first look. Every read is of that same file or a DownloadError `changed`. */
export interface RemoteFile {
  /** Null when the server does not say. */
  readonly size: number | null;
  readonly etag: string | null;
  readonly acceptsRanges: boolean;
  /** Host of the address it was asked for at, for messages. */
  readonly host: string;
  /** The bytes from `start` to `end`, both included, in memory: for small pieces. Needs `acceptsRanges`. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
  /**
   * The whole file, or the bytes from `start` to `end`, both included (needs `acceptsRanges`). It errors with a
   * DownloadError unless exactly the announced bytes came. Destroy it when it is not read to its end.
   */
  readonly stream: (start?: number, end?: number) => Promise<Readable>;
}

export interface Downloader {
  /**
   * Looks at a file with one small request. The signal ends this and every later read; its reason is then thrown as it is.
   * @throws DownloadError
   */
  open(address: string, options: { readonly signal: AbortSignal }): Promise<RemoteFile>;
  /** Closes idle connections; streams under way end with an error. */
  close(): Promise<void>;
}

/** @param deps `resolve` answers all addresses of a host name; the system's resolver by default */
export function createDownloader(
  policy: DownloadPolicy,
  deps: { readonly resolve?: (host: string) => Promise<readonly ResolvedAddress[]> } = {},
): Downloader {
  const resolve = deps.resolve ?? ((host) => lookup(host, { all: true }));
  const timeouts = { headersTimeout: policy.idleTimeoutMs, bodyTimeout: policy.idleTimeoutMs };
  const guarded = new Agent({
    ...timeouts,
    connect: { timeout: policy.connectTimeoutMs, lookup: createDownloadLookup(resolve) },
  });
  const direct = new Agent({ ...timeouts, connect: { timeout: policy.connectTimeoutMs } });

  async function get(address: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
    let target = checkTarget(policy, address);
    for (let hops = 0; ; hops++) {
      const { url, trusted } = target;
      const response = await send(url, { dispatcher: trusted ? direct : guarded, headers, signal });
      const location = response.headers['location'];
      if (!redirectStatuses.has(response.statusCode) || typeof location !== 'string') {
        return { response, host: url.hostname };
      }
      discard(response);
      if (hops >= policy.maxRedirects) {
        throw new DownloadError('refused_by_policy', url.hostname, `more than ${policy.maxRedirects} redirects.`);
      }
      target = checkTarget(policy, location, url);
    }
  }

  return {
    async open(address, { signal }) {
      const answer = await get(address, { range: 'bytes=0-0' }, signal);
      const seen = look(answer, policy.maxBytes);
      discard(answer.response);
      return createRemoteFile(seen, policy.maxBytes, signal, (headers) => get(address, headers, signal));
    },
    async close() {
      await Promise.all([guarded.destroy(), direct.destroy()]);
    },
  };
}

interface Answer {
  readonly response: Dispatcher.ResponseData;
  readonly host: string;
}

interface Seen {
  readonly size: number | null;
  readonly etag: string | null;
  readonly acceptsRanges: boolean;
  readonly host: string;
}

/** 300 and 304 are no redirects, even with a Location. */
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

async function send(
  url: URL,
  options: {
    readonly dispatcher: Agent;
    readonly headers: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<Dispatcher.ResponseData> {
  options.signal.throwIfAborted();
  try {
    return await request(url, {
      dispatcher: options.dispatcher,
      signal: options.signal,
      highWaterMark: onDemand,
      // Lengths and ranges count the bytes of the file, so it must come as it is.
      headers: { ...options.headers, 'accept-encoding': 'identity', 'user-agent': 'dailies' },
    });
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    throw asDownloadError(error, url.hostname);
  }
}

/** A DownloadError raised inside a socket's lookup comes back as it is or as a cause. */
function asDownloadError(error: unknown, host: string): DownloadError {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DownloadError) return cause;
  }
  return new DownloadError('unavailable', host, 'the host could not be reached or did not answer in time.', error);
}

/** What the answer to the first small range says about the file. */
function look({ response, host }: Answer, maxBytes: number): Seen {
  const { statusCode, headers } = response;
  refuseFailure(response, host);
  const etag = single(headers['etag']) ?? null;
  const total = /^bytes 0-0\/(\d+)$/.exec(single(headers['content-range']) ?? '')?.[1];
  // A part of a file of unknown length ("bytes 0-0/*") is of no use; such a file is read as a whole.
  const acceptsRanges = statusCode === 206 && total !== undefined;
  const length = statusCode === 206 ? total : single(headers['content-length']);
  const size = length === undefined ? null : Number(length);
  if (size !== null && size > maxBytes) {
    discard(response);
    throw new DownloadError('too_large', host, `${size} bytes are more than the allowed ${maxBytes}.`);
  }
  return { size, etag, acceptsRanges, host };
}

function createRemoteFile(
  seen: Seen,
  maxBytes: number,
  signal: AbortSignal,
  get: (headers: Readonly<Record<string, string>>) => Promise<Answer>,
): RemoteFile {
  async function stream(start?: number, end?: number): Promise<Readable> {
    const range = start === undefined ? undefined : rangeOf(seen, start, end);
    const answer = await get(range ? rangeHeaders(seen, range) : {});
    checkSame(answer, seen, range);
    const expected = range ? range.end - range.start + 1 : seen.size;
    return meterBody(answer.response.body, { expected, maxBytes, host: answer.host, signal });
  }
  return {
    ...seen,
    stream,
    async read(start, end) {
      const pieces: Buffer[] = [];
      for await (const piece of await stream(start, end)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
  };
}

function rangeOf(seen: Seen, start: number, end: number | undefined): ByteRange {
  if (!seen.acceptsRanges || seen.size === null) throw new TypeError('this file cannot be read in ranges');
  const range = { start, end: end ?? seen.size - 1 };
  if (start < 0 || start > range.end || range.end >= seen.size) throw new RangeError('the range is outside the file');
  return range;
}

/** If-Range takes strong validators only; without one, the length and tag of the answer have to do. */
function rangeHeaders(seen: Seen, range: ByteRange): Readonly<Record<string, string>> {
  const header = { range: `bytes=${range.start}-${range.end}` };
  return seen.etag?.startsWith('"') ? { ...header, 'if-range': seen.etag } : header;
}

function checkSame({ response, host }: Answer, seen: Seen, range: ByteRange | undefined): void {
  const { statusCode, headers } = response;
  if (range && (statusCode === 200 || statusCode === 412 || statusCode === 416)) fail('changed');
  refuseFailure(response, host);
  const etag = single(headers['etag']) ?? null;
  if (etag !== seen.etag) fail('changed');
  if (range) {
    const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(single(headers['content-range']) ?? '');
    if (!match || Number(match[3]) !== seen.size) fail('changed');
    if (Number(match?.[1]) !== range.start || Number(match?.[2]) !== range.end) fail('incomplete');
  } else {
    const length = single(headers['content-length']);
    if (seen.size !== null && length !== undefined && Number(length) !== seen.size) fail('changed');
  }

  function fail(reason: 'changed' | 'incomplete'): never {
    discard(response);
    const text =
      reason === 'changed' ? 'the file is not the one seen before.' : 'the server sent another range than asked for.';
    throw new DownloadError(reason, host, text);
  }
}

function refuseFailure(response: Dispatcher.ResponseData, host: string): void {
  const { statusCode, headers } = response;
  const encoding = single(headers['content-encoding']) ?? 'identity';
  if ((statusCode === 200 || statusCode === 206) && encoding === 'identity') return;
  discard(response);
  switch (statusCode) {
    case 401:
    case 403:
      throw new DownloadError('expired', host, `the address is no longer honoured (HTTP ${statusCode}).`);
    case 404:
    case 410:
      throw new DownloadError('missing', host, `the file is not there (HTTP ${statusCode}).`);
    case 416:
      throw new DownloadError('incomplete', host, 'the file is empty.');
    default: {
      const what = statusCode < 300 ? `an answer in the encoding ${JSON.stringify(encoding)}` : `HTTP ${statusCode}`;
      throw new DownloadError('unavailable', host, `the server answered with ${what}.`);
    }
  }
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Ends an answer whose body nobody wants, together with its connection. */
function discard(response: Dispatcher.ResponseData): void {
  response.body.on('error', () => undefined).destroy();
}
