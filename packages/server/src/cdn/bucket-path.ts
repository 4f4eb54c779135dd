/**
 * The address of a stored file at a CDN whose origin is the bucket.
 * @param cdn `url` may end in a path, under which the CDN serves the bucket; `prefix` is the beginning of every key in it
 */
export function addressOf(cdn: { readonly url: string; readonly prefix: string }, fileKey: string): string {
  const path = `${cdn.prefix}${fileKey}`.split('/').map(encodeURIComponent).join('/');
  return `${cdn.url.replace(/\/+$/, '')}/${path}`;
}

/** When a link ends, in Unix seconds: exactly as long from now as asked. */
export function expiryOf(wallMs: number, expiresInSeconds: number): number {
  return Math.floor(wallMs / 1000) + expiresInSeconds;
}
