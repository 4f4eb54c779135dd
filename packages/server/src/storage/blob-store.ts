/**
 * The port to the team's own storage. Called by videos/archive and by the content route. It never shows a file that is
 * not whole, never reads outside its root or bucket, and never buffers a file in memory.
 */
import type { Readable } from 'node:stream';

/** A stored file, as the store itself sees it. */
export interface BlobHead {
  readonly key: string;
  readonly bytes: number;
  readonly contentType: string;
  /** Strong validator, quoted as in an ETag header. */
  readonly etag: string;
}

export interface PutOptions {
  readonly contentType: string;
  /** Exact length; a stream of another length fails and leaves nothing visible. */
  readonly bytes: number;
  readonly signal: AbortSignal;
}

export interface PutResult extends BlobHead {
  /** Hex SHA-256 of the bytes that were stored, checked against what the store reports or reads back. */
  readonly sha256: string;
}

/** Both ends inclusive, inside the file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BlobStore {
  /**
   * Stores a stream whole or not at all, replacing an older file of that key.
   * @throws StorageError
   */
  put(key: string, content: Readable, options: PutOptions): Promise<PutResult>;
  /** @throws StorageError `missing` */
  get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>;
  find(key: string): Promise<BlobHead | undefined>;
  /** No error when it is already gone. */
  delete(key: string): Promise<void>;
  /** Keys under a prefix, in no promised order. */
  list(prefix: string): AsyncIterable<string>;
  /** A link straight to the store for that long; undefined where the store has no links of its own (fs). */
  signGet(
    key: string,
    options: { readonly expiresInSeconds: number; readonly fileName: string },
  ): Promise<string | undefined>;
  /**
   * Resolves when the store answers and is there; whether it may be looked at does not matter.
   * @throws StorageError
   */
  check(): Promise<void>;
  close(): Promise<void>;
}
