import { isIP } from 'node:net';
import { InvalidArgumentError } from '../errors.js';
import { ClientAddressUnknownError } from './errors.js';

const BITS = 128;
const BITS_OF_GROUP = 16;

/** `192.0.2.1:4711` and `[2001:db8::1]:443`, as some proxies write it: with the port, each connection would be another client. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+)|\[([^\]]+)\])(?::\d+)?$/;

/**
 * What to limit a client by whose address this is: the address itself if it is one of IPv4, in IPv6 too, and the network if it
 * is one of IPv6, as one client has a whole network of them. What is no address, such as `unknown`, stays as it is.
 *
 * @param ipv6Prefix how many bits of an IPv6 address count; default 64, the smallest network that a customer gets.
 * @throws {ClientAddressUnknownError} if there is no address.
 * @throws {InvalidArgumentError} if `ipv6Prefix` is not from 1 to 128.
 */
export function clientKey(address: string | undefined, ipv6Prefix = 64): string {
  checkIpv6Prefix(ipv6Prefix);
  if (!address) throw new ClientAddressUnknownError();
  const [, v4, v6] = WITH_PORT.exec(address) ?? [];
  const plain = v4 ?? v6 ?? address;
  return isIP(plain) === 6 ? networkOf(plain, ipv6Prefix) : plain;
}

/** @throws {InvalidArgumentError} */
export function checkIpv6Prefix(bits: number): void {
  if (!Number.isInteger(bits) || bits < 1 || bits > BITS) {
    throw new InvalidArgumentError(`ipv6Prefix must be a whole number from 1 to ${BITS}, got ${String(bits)}`);
  }
}

function networkOf(address: string, prefix: number): string {
  const groups = groupsOf(address);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.');
  }
  const kept = groups.slice(0, Math.ceil(prefix / BITS_OF_GROUP)).map((group, i) => {
    const hostBits = Math.max(0, (i + 1) * BITS_OF_GROUP - prefix);
    return ((group >> hostBits) << hostBits).toString(16);
  });
  return `${kept.join(':')}${kept.length < BITS / BITS_OF_GROUP ? '::' : ''}/${prefix}`;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [text = ''] = address.split('%');
  const [head = '', tail] = text.split('::');
  const before = numbersOf(head);
  if (tail === undefined) return before;
  const after = numbersOf(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function numbersOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
