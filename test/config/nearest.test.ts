import { expect, test } from 'vitest';
import { nearestName } from '../../src/config/nearest.js';

const KNOWN = ['address', 'database', 'username', 'password', 'pool', 'max', 'min', 'keyPrefix'];

test.each([
  ['adress', 'address'],
  ['adderss', 'address'],
  ['datbase', 'database'],
  ['passwrod', 'password'],
  ['Password', 'password'],
  ['key_prefix', 'keyPrefix'],
  ['pools', 'pool'],
  ['maxx', 'max'],
  ['user', undefined],
  ['m', undefined],
  ['', undefined],
  ['tls', undefined],
  ['x'.repeat(100_000), undefined],
])('%s is taken for %s', (name, meant) => {
  expect(nearestName(name, KNOWN)).toBe(meant);
});
