import { BlockList, isIP } from 'node:net';

/** Everything the IANA special-purpose registries keep from being an ordinary host on the internet. */
const specialV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier NAT; also metadata services of some clouds
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, with the metadata services of most clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['168.63.129.16', 32], // the platform service inside Azure, although the address is public
];

/** Inside global unicast, what is documentation, a protocol's own, or hides an IPv4 address. */
const specialV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];

const blockedV4 = new BlockList();
for (const [address, bits] of specialV4) blockedV4.addSubnet(address, bits, 'ipv4');
const blockedV6 = new BlockList();
for (const [address, bits] of specialV6) blockedV6.addSubnet(address, bits, 'ipv6');
const globalV6 = new BlockList();
globalV6.addSubnet('2000::', 3, 'ipv6');

/**
 * True for an address of an ordinary host on the internet. Loopback, private, link-local, metadata, multicast, reserved, and
 * every IPv6 form that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) are not, and neither is anything
 * that is no address: for IPv6 only global unicast is let through, so that a form unknown here is refused.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !blockedV4.check(address, 'ipv4');
    case 6:
      return !address.includes('%') && globalV6.check(address, 'ipv6') && !blockedV6.check(address, 'ipv6');
    default:
      return false;
  }
}
