import { isIP } from 'node:net';
import { InvalidArgumentError } from '../errors.js';
import { ClientAddressUnknownError } from './errors.js';

const BITS = 128;
const BITS_OF_GROUP = 16;

/** Networks whose last 32 bits are an address of IPv4: mapped, translated, and the well-known prefix of NAT64. */
const IPV4_IN_IPV6 = [
  [0, 0, 0, 0, 0, 0xffff],
  [0, 0, 0, 0, 0xffff, 0],
  [0x64, 0xff9b, 0, 0, 0, 0],
] as const;

/** `192.0.2.1:4711` and `[2001:db8::1]:443`, as some proxies write it: with the port, each connection would be another client. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+)|\[([^\]]+)\])(?::\d+)?$/;

/** `for="[2001:db8::1]";proto=https`, as the header Forwarded has it. */
const FORWARDED_FOR = /(?:^|;)\s*for\s*=\s*([^;]*)/i;

/**
 * Says what to limit a client by whose address this is: the address itself if it is one of IPv4, in IPv6 and behind NAT64 too, and
 * the network if it is one of IPv6, as one client has a whole network of them. Spaces, quotes, brackets, ports and zones do not
 * count. What is no address, such as `unknown`, stays as it is.
 *
 * Of a list, as `X-Forwarded-For` is, the last address counts: your own proxy added it, and the client may have made up those
 * before it. Behind several proxies let the framework find the address, or have the outermost one set a header of its own.
 *
 * @param address an address, or the value of a header that your own proxy sets or adds to.
 * @param ipv6Prefix how many bits of an IPv6 address count; default 64, the smallest network that a customer gets.
 * @throws {ClientAddressUnknownError} if there is no address, or nothing behind the last comma of a list.
 * @throws {InvalidArgumentError} if `ipv6Prefix` is not from 1 to 128, or `address` is neither text nor a list of texts.
 */
export function clientKey(address: string | readonly string[] | undefined, ipv6Prefix = 64): string {
  checkIpv6Prefix(ipv6Prefix);
  const plain = plainAddress(address);
  return isIP(plain) === 6 ? networkOf(plain, ipv6Prefix) : plain;
}

/** The last address of a list, without what may stand around it. */
function plainAddress(address: string | readonly string[] | undefined): string {
  const text = Array.isArray(address) ? address.at(-1) : address;
  if (text === undefined || text === null || text === '') throw new ClientAddressUnknownError();
  if (typeof text !== 'string') {
    throw new InvalidArgumentError(
      `clientKey takes the address of a client, such as request.ip, or the value of a header, got a value of type ${typeof text}`,
    );
  }
  const last = text.slice(text.lastIndexOf(',') + 1);
  const bare = unquoted(FORWARDED_FOR.exec(last)?.[1] ?? last);
  if (bare === '') throw new ClientAddressUnknownError();
  const [, v4, v6] = WITH_PORT.exec(bare) ?? [];
  return v4 ?? v6?.trim() ?? bare;
}

function unquoted(text: string): string {
  const trimmed = text.trim();
  const quoted = trimmed.length > 1 && trimmed.startsWith('"') && trimmed.endsWith('"');
  return quoted ? trimmed.slice(1, -1).trim() : trimmed;
}

/** @throws {InvalidArgumentError} */
export function checkIpv6Prefix(bits: number): void {
  if (!Number.isInteger(bits) || bits < 1 || bits > BITS) {
    throw new InvalidArgumentError(`ipv6Prefix must be a whole number from 1 to ${BITS}, got ${String(bits)}`);
  }
}

function networkOf(address: string, prefix: number): string {
  const groups = groupsOf(address);
  if (IPV4_IN_IPV6.some((prefix) => prefix.every((group, i) => groups[i] === group))) {
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
