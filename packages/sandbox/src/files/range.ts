/** The part of a file that a Range header asks for; inclusive bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads one `bytes=` range (RFC 9110 14). Undefined means: send everything (no header, another unit, several ranges, or
 * nonsense, all of which a server may ignore).
 */
export function readRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (!match || (!first && !last)) return undefined;
  if (!first) {
    const suffix = Number(last);
    return suffix === 0 ? 'unsatisfiable' : { start: Math.max(0, sizeBytes - suffix), end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last ? Math.min(Number(last), sizeBytes - 1) : sizeBytes - 1;
  if (last && Number(last) < start) return undefined;
  return start >= sizeBytes ? 'unsatisfiable' : { start, end };
}
