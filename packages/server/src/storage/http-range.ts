import type { ByteRange } from './blob-store.ts';

/** What a Range header asks of a file of a known size (RFC 9110 section 14). */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' };

/**
 * Reads a Range header. Headers that are malformed, in another unit or ask for several ranges are ignored, as the standard
 * allows: the answer is the whole file.
 */
export function parseRange(header: string | undefined, bytes: number): RangeRequest {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return { kind: 'whole' };
  if (first === '') {
    const length = Math.min(Number(last), bytes);
    return length === 0 ? { kind: 'unsatisfiable' } : part(bytes - length, bytes - 1);
  }
  const start = Number(first);
  const end = last === '' ? Infinity : Number(last);
  if (end < start) return { kind: 'whole' };
  return start >= bytes ? { kind: 'unsatisfiable' } : part(start, Math.min(end, bytes - 1));
}

function part(start: number, end: number): RangeRequest {
  return { kind: 'part', range: { start, end } };
}

/** The request headers that decide which bytes of a file are answered. */
export interface FileRequest {
  readonly method: 'GET' | 'HEAD';
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** Status and headers of an answer about a file; `range` is set when its body is not the whole file. */
export interface FileAnswer {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined with 200: the whole file. Without a body (HEAD, 304, 416) nothing is read. */
  readonly range: ByteRange | undefined;
  readonly hasBody: boolean;
}

/**
 * Decides how a request for a stored file is answered: 304 first, then If-Range, then the range (RFC 9110 section 13.2.2).
 * Content-Type and caching are the route's.
 * @param file `etag` is strong and quoted, as the store gives it
 */
export function answerFileRequest(
  request: FileRequest,
  file: { readonly bytes: number; readonly etag: string },
): FileAnswer {
  const validators = { etag: file.etag, 'accept-ranges': 'bytes' };
  if (request.ifNoneMatch !== undefined && matchesAny(request.ifNoneMatch, file.etag)) {
    return { status: 304, headers: validators, range: undefined, hasBody: false };
  }
  // Range means something with GET only. A date in If-Range never matches: the answers carry no Last-Modified.
  const wantsRange =
    request.method === 'GET' && (request.ifRange === undefined || request.ifRange.trim() === file.etag);
  const asked = parseRange(wantsRange ? request.range : undefined, file.bytes);
  switch (asked.kind) {
    case 'whole':
      return {
        status: 200,
        headers: { ...validators, 'content-length': String(file.bytes) },
        range: undefined,
        hasBody: request.method === 'GET',
      };
    case 'part': {
      const { start, end } = asked.range;
      const contentRange = `bytes ${start}-${end}/${file.bytes}`;
      const headers = { ...validators, 'content-length': String(end - start + 1), 'content-range': contentRange };
      return { status: 206, headers, range: asked.range, hasBody: true };
    }
    case 'unsatisfiable':
      return {
        status: 416,
        headers: { ...validators, 'content-range': `bytes */${file.bytes}` },
        range: undefined,
        hasBody: false,
      };
  }
}

/** If-None-Match compares weakly: `W/"x"` and `"x"` are the same. */
function matchesAny(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => tag.replace(/^W\//, '') === etag.replace(/^W\//, ''));
}
