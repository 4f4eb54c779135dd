/**
 * Where webhooks may go. The address comes from a user, so it must not make this process reach an internal service: https to
 * public addresses only, whatever the name resolves to at the moment of connecting. Loopback is for a server whose user sits
 * at the same machine, and then only by a name that says so.
 */
import { isIP, type LookupFunction } from 'node:net';
import { createGuardedLookup, type ResolvedAddress } from '../kernel/guarded-lookup.ts';
import { isLoopbackAddress, isLoopbackHost } from '../kernel/loopback.ts';
import { isPublicAddress } from '../kernel/public-address.ts';

export type WebhookTarget =
  | { readonly kind: 'public' | 'loopback'; readonly url: URL }
  | { readonly kind: 'forbidden'; readonly reason: string };

/** A name that led where webhooks must not go; the message says the host and nothing else of the URL. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';
}

/** Judges an address before anything is sent to it. */
export function judgeTarget(address: string, allowLoopback: boolean): WebhookTarget {
  const forbidden = (reason: string): WebhookTarget => ({ kind: 'forbidden', reason });
  if (!URL.canParse(address)) return forbidden('The webhook address is no URL.');
  const url = new URL(address);
  if (url.username !== '' || url.password !== '')
    return forbidden('Webhook addresses with a user or password are refused.');
  if (isLoopbackHost(url.hostname)) {
    if (!allowLoopback) return forbidden(`${url.hostname} is the server's own machine and gets no webhooks here.`);
    if (url.protocol === 'http:' || url.protocol === 'https:') return { kind: 'loopback', url };
  }
  if (url.protocol !== 'https:') return forbidden('Webhooks are sent over https only.');
  // A literal never reaches the lookups below.
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !isPublicAddress(literal)) return forbidden(`${literal} is not a public address.`);
  return { kind: 'public', url };
}

/** The lookup for connections to targets of one kind. */
export function createTargetLookup(
  kind: 'public' | 'loopback',
  resolve: (host: string) => Promise<readonly ResolvedAddress[]>,
): LookupFunction {
  return createGuardedLookup({
    resolve,
    accepts: kind === 'public' ? isPublicAddress : isLoopbackAddress,
    error: (problem, host) =>
      new ForbiddenAddressError(
        problem === 'refused'
          ? `The name ${host} leads to an address that is not ${kind}.`
          : `The name ${host} has no address.`,
      ),
  });
}
