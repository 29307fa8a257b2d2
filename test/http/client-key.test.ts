import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientAddressUnknownError, clientKey } from '../../src/http/index.js';
import { InvalidArgumentError } from '../../src/index.js';

describe('clientKey', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', 'an address of IPv4'],
    ['::ffff:192.0.2.1', '192.0.2.1', 'the same in IPv6'],
    ['::ffff:c000:201', '192.0.2.1', 'the same in hexadecimal'],
    ['192.0.2.1:4711', '192.0.2.1', 'with a port'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', 'an address of IPv6'],
    ['2001:DB8:0001:2::1', '2001:db8:1:2::/64', 'written otherwise'],
    ['[2001:db8:1:2::1]:443', '2001:db8:1:2::/64', 'with a port'],
    ['[2001:db8:1:2::1]', '2001:db8:1:2::/64', 'in brackets'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64', 'with a zone'],
    ['64:ff9b::192.0.2.1', '192.0.2.1', 'an address of IPv4 behind NAT64'],
    ['64:ff9b::c000:201', '192.0.2.1', 'the same in hexadecimal'],
    ['::ffff:0:192.0.2.1', '192.0.2.1', 'a translated address of IPv4'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1', 'IPv4 in IPv6 with a port'],
    ['64:ff9b:1::192.0.2.1', '64:ff9b:1:0::/64', 'of a network next to that of NAT64'],
    [' 192.0.2.1 ', '192.0.2.1', 'between spaces'],
    ['\t2001:db8:1:2::1', '2001:db8:1:2::/64', 'behind a tab'],
    ['"192.0.2.1:4711"', '192.0.2.1', 'in quotes with a port'],
    ['"[2001:db8:1:2::1]:4711"', '2001:db8:1:2::/64', 'in quotes and brackets with a port'],
    ['[fe80::1%eth0]:443', 'fe80:0:0:0::/64', 'with a zone and a port'],
    ['for="[2001:db8:1:2::1]:4711";proto=https', '2001:db8:1:2::/64', 'as the header Forwarded has it'],
    ['proto=https; For=192.0.2.1', '192.0.2.1', 'as the header Forwarded may have it'],
    ['198.51.100.1, 192.0.2.1', '192.0.2.1', 'the last of a list'],
    ['198.51.100.1,"[2001:db8:1:2::1]"', '2001:db8:1:2::/64', 'the last of a list in quotes'],
    ['for=198.51.100.1, for=192.0.2.1;by=10.0.0.1', '192.0.2.1', 'the last of a list of Forwarded'],
    ['198.51.100.1, unknown', 'unknown', 'no address at the end of a list'],
    ['::1', '0:0:0:0::/64', 'this machine'],
    ['unknown', 'unknown', 'no address'],
  ])('%s is %s: %s', (address, key) => {
    expect(clientKey(address)).toBe(key);
  });

  test.each([
    [32, '2001:db8::/32'],
    [56, '2001:db8:1:ff00::/56'],
    [60, '2001:db8:1:fff0::/60'],
    [127, '2001:db8:1:ffff:0:0:0:2/127'],
    [128, '2001:db8:1:ffff:0:0:0:3/128'],
  ])('the first %i bits of an address of IPv6 are %s', (bits, key) => {
    expect(clientKey('2001:db8:1:ffff::3', bits)).toBe(key);
  });

  test('does not depend on how an address is written, and is that of its network only', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    // Where the internet is: what begins with zeros may be IPv4.
    const addresses = fc.tuple(fc.constant(0x2001), ...new Array<typeof group>(7).fill(group));
    fc.assert(
      fc.property(addresses, fc.integer({ min: 1, max: 128 }), (groups, bits) => {
        const long = groups.map((number) => number.toString(16).padStart(4, '0')).join(':');
        const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
        const key = clientKey(long, bits);
        expect(clientKey(short, bits)).toBe(key);

        const flipped = (bit: number) =>
          groups.map((number, i) => (i === bit >> 4 ? number ^ (0x8000 >> (bit & 15)) : number).toString(16)).join(':');
        expect(clientKey(flipped(bits - 1), bits)).not.toBe(key);
        if (bits < 128) expect(clientKey(flipped(bits), bits)).toBe(key);
      }),
    );
  });

  test('takes a header that came several times, of which the last counts', () => {
    expect(clientKey(['198.51.100.1', '198.51.100.2, 192.0.2.1'])).toBe('192.0.2.1');
    expect(() => clientKey([])).toThrow(ClientAddressUnknownError);
  });

  test('never falls back on what stands before the end of a list, as the client may have made it up', () => {
    for (const list of ['198.51.100.1,', '198.51.100.1, ', '198.51.100.1, ""', ' ', '""']) {
      expect(() => clientKey(list)).toThrow(ClientAddressUnknownError);
    }
  });

  test('refuses what is no text', () => {
    for (const value of [5, {}, true]) {
      expect(() => clientKey(value as unknown as string)).toThrow(/clientKey takes the address .* got a value of type/);
    }
  });

  test('refuses no address, and a prefix that is none', () => {
    expect(() => clientKey(undefined)).toThrow(ClientAddressUnknownError);
    expect(() => clientKey('')).toThrow(ClientAddressUnknownError);
    for (const bits of [0, 129, 64.5, Number.NaN]) expect(() => clientKey('::1', bits)).toThrow(InvalidArgumentError);
  });
});
