import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../kernel/secret.ts';

export interface OwnLinks {
  /**
   * An absolute link that works until `expiresAtSeconds` (Unix time) and for this file only.
   * @param link `path` is the path of the content route, without query
   */
  sign(link: { readonly path: string; readonly fileId: string; readonly expiresAtSeconds: number }): string;
  /**
   * True when the link was signed here, for this path and file, and has not expired. Anything else, however malformed, is
   * false; the time it takes does not tell how close a forgery came.
   * @param link `target` is the path with query, as requested
   */
  verify(link: { readonly target: string; readonly fileId: string; readonly nowSeconds: number }): boolean;
}

/** Keeps signatures of this purpose apart from any other made with the same secret. */
const purpose = 'dailies content link v1';

/**
 * Signed, expiring links to our own content route (HMAC-SHA256 over path, file and expiry). Every process with the same
 * secret verifies the links of every other.
 * @param options `publicUrl` is the address of the API as viewers reach it; a path in it is kept in front and not signed,
 *   because the proxy that needs it takes it away
 */
export function createOwnLinks(options: { readonly secret: Secret; readonly publicUrl: string }): OwnLinks {
  const base = options.publicUrl.replace(/\/+$/, '');
  function signature(path: string, fileId: string, expires: string): Buffer {
    const text = JSON.stringify([purpose, path, fileId, expires]);
    return createHmac('sha256', options.secret.reveal()).update(text).digest();
  }
  return {
    sign({ path, fileId, expiresAtSeconds }) {
      const expires = String(Math.floor(expiresAtSeconds));
      return `${base}${path}?expires=${expires}&signature=${signature(path, fileId, expires).toString('base64url')}`;
    },
    verify({ target, fileId, nowSeconds }) {
      const mark = target.indexOf('?');
      if (mark < 0) return false;
      const query = new URLSearchParams(target.slice(mark + 1));
      const [expires = '', ...moreExpires] = query.getAll('expires');
      const [given = '', ...moreGiven] = query.getAll('signature');
      if (moreExpires.length > 0 || moreGiven.length > 0 || !/^[1-9]\d{0,11}$/.test(expires)) return false;
      if (!/^[A-Za-z0-9_-]{43}$/.test(given)) return false;
      const expected = signature(target.slice(0, mark), fileId, expires);
      const matches = timingSafeEqual(expected, Buffer.from(given, 'base64url'));
      return matches && nowSeconds < Number(expires);
    },
  };
}
