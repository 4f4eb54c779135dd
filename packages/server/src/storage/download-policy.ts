import { isIP, type LookupFunction } from 'node:net';
import { createGuardedLookup, type ResolvedAddress } from '../kernel/guarded-lookup.ts';
import { isPublicAddress } from '../kernel/public-address.ts';
import { DownloadError } from './download-error.ts';

/** Where downloads may go and how much they may take. */
export interface DownloadPolicy {
  /** Exact host names, or `.suffix` for every host below it (not the suffix itself). HTTPS on port 443 only. */
  readonly allowedHosts: readonly string[];
  /**
   * Exact origins, such as the sandbox's `http://127.0.0.1:8002`, that may be plain HTTP and have any address. Nothing else
   * on the same host is let through by them.
   */
  readonly trustedOrigins: readonly string[];
  /** Of one file. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
  readonly connectTimeoutMs: number;
  /** Longest silence, before the headers and between two pieces of a body. */
  readonly idleTimeoutMs: number;
}

/** A host that may be asked, and whether its addresses are exempt from checking. */
export interface AllowedTarget {
  readonly url: URL;
  readonly trusted: boolean;
}

/**
 * Checks an address before anything is sent to it; redirect targets pass here as well.
 * @param base what a relative redirect is relative to
 * @throws DownloadError `refused_by_policy`
 */
export function checkTarget(policy: DownloadPolicy, address: string, base?: URL): AllowedTarget {
  const url = URL.canParse(address, base?.href) ? new URL(address, base) : undefined;
  if (!url) throw new DownloadError('refused_by_policy', base?.hostname ?? 'an unknown host', 'not a valid address.');
  const host = url.hostname.replace(/\.$/, '');
  const refuse = (why: string): DownloadError => new DownloadError('refused_by_policy', host || 'an unknown host', why);
  if (url.username !== '' || url.password !== '') throw refuse('addresses with a user or password are refused.');
  if (policy.trustedOrigins.some((origin) => URL.canParse(origin) && new URL(origin).origin === url.origin)) {
    return { url, trusted: true };
  }
  if (url.protocol !== 'https:') throw refuse('only https is allowed.');
  if (url.port !== '') throw refuse('only port 443 is allowed.');
  if (!policy.allowedHosts.some((allowed) => matchesHost(allowed.toLowerCase(), host))) {
    throw refuse('the host is not on the list of allowed download hosts.');
  }
  // An IP literal never reaches the lookup below.
  const literal = host.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !isPublicAddress(literal)) throw refuse('the address is not a public one.');
  return { url, trusted: false };
}

function matchesHost(allowed: string, host: string): boolean {
  return allowed.startsWith('.') ? host.endsWith(allowed) && host.length > allowed.length : host === allowed;
}

/** A lookup for sockets of hosts that are not trusted: public addresses only, and what it refuses is a DownloadError. */
export function createDownloadLookup(resolve: (host: string) => Promise<readonly ResolvedAddress[]>): LookupFunction {
  return createGuardedLookup({
    resolve,
    accepts: isPublicAddress,
    error: (kind, host) =>
      kind === 'refused'
        ? new DownloadError('refused_by_policy', host, 'the name leads to an address that is not public.')
        : new DownloadError('unavailable', host, 'the name has no address of this kind.'),
  });
}
