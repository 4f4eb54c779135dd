import { isIP, type LookupFunction } from 'node:net';
import { asError } from '../kernel/errors.ts';
import { DownloadError } from './download-error.ts';
import { isPublicAddress } from './public-address.ts';

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

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
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

/**
 * A lookup for sockets that lets a connection be made only to addresses which were checked: the socket gets the checked
 * list itself and asks nobody again, so a name that changes its mind between check and connect (DNS rebinding) gains
 * nothing. One address that is not public refuses the whole name.
 */
export function createGuardedLookup(resolve: (host: string) => Promise<readonly ResolvedAddress[]>): LookupFunction {
  async function check(host: string): Promise<readonly ResolvedAddress[]> {
    const addresses = await resolve(host);
    if (addresses.length === 0) throw new DownloadError('unavailable', host, 'the name has no address.');
    if (!addresses.every(({ address }) => isPublicAddress(address))) {
      throw new DownloadError('refused_by_policy', host, 'the name leads to an address that is not public.');
    }
    return addresses;
  }
  return (host, options, callback) => {
    check(host).then(
      (addresses) => {
        const wanted = addresses.filter(({ family }) => !options.family || family === familyNumber(options.family));
        const [first] = wanted;
        if (!first) callback(new DownloadError('unavailable', host, 'the name has no address of this kind.'), '');
        else if (options.all) callback(null, [...wanted]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(asError(error), ''),
    );
  };
}

function familyNumber(family: number | 'IPv4' | 'IPv6'): number {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
}
