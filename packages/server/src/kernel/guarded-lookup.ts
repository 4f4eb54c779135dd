import type { LookupFunction } from 'node:net';
import { asError } from './errors.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export interface GuardedLookupDeps {
  /** All addresses of a host name. */
  readonly resolve: (host: string) => Promise<readonly ResolvedAddress[]>;
  readonly accepts: (address: string) => boolean;
  /** What a socket fails with: a name that leads where it must not, or nowhere. */
  readonly error: (kind: 'refused' | 'no_address', host: string) => Error;
}

/**
 * A lookup for sockets that lets a connection be made only to addresses which were checked: the socket gets the checked
 * list itself and asks nobody again, so a name that changes its mind between check and connect (DNS rebinding) gains
 * nothing. One address that is not accepted refuses the whole name. An address given as a literal is never looked up:
 * check it before.
 */
export function createGuardedLookup({ resolve, accepts, error: errorOf }: GuardedLookupDeps): LookupFunction {
  async function check(host: string): Promise<readonly ResolvedAddress[]> {
    const addresses = await resolve(host);
    if (!addresses.every(({ address }) => accepts(address))) throw errorOf('refused', host);
    return addresses;
  }
  return (host, options, callback) => {
    check(host).then(
      (addresses) => {
        const wanted = addresses.filter(({ family }) => !options.family || family === familyNumber(options.family));
        const [first] = wanted;
        if (!first) callback(errorOf('no_address', host), '');
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
