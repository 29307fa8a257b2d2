import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { engineOn } from '../../support/engine.js';
import { useRedis } from '../../support/redis.js';
import { SEED, SOAK, TIMEOUT_MS } from '../soak.js';
import { explore } from './explore.js';
import { RealWorld } from './real.js';
import { applies, type Claim, type Operation, type State } from './reference.js';

const server = useRedis();

/** Small worlds that have every kind of trouble in them. */
const WORLDS: readonly { what: string; keys: string[]; claims: Claim[] }[] = [
  {
    what: 'one lock, two processes, three claims',
    keys: ['lock'],
    claims: [claim('a', 0, 'x', 'lock'), claim('b', 0, 'x', 'lock'), claim('c', 1, 'x', 'lock')],
  },
  {
    what: 'a claim on two locks at once, and one on one of them',
    keys: ['one', 'two'],
    claims: [claim('a', 0, 'x', 'one', 'two'), claim('b', 1, 'x', 'two')],
  },
  {
    what: 'two readers and a writer',
    keys: ['book'],
    claims: [claim('a', 0, 'r', 'book'), claim('b', 1, 'w', 'book'), claim('c', 1, 'r', 'book')],
  },
  {
    what: 'three for the two permits of a semaphore',
    keys: ['permits'],
    claims: [claim('a', 0, 's', 'permits'), claim('b', 0, 's', 'permits'), claim('c', 1, 's', 'permits')],
  },
];
/** Worlds for which there is no time in `npm test`. */
const LARGER_WORLDS: typeof WORLDS = [
  {
    what: 'two claims on two locks, crossing, and one on one of them',
    keys: ['one', 'two'],
    claims: [claim('a', 0, 'x', 'one', 'two'), claim('b', 1, 'x', 'two', 'one'), claim('c', 1, 'x', 'two')],
  },
  {
    what: 'two readers and two writers',
    keys: ['book'],
    claims: [
      claim('a', 0, 'r', 'book'),
      claim('b', 1, 'w', 'book'),
      claim('c', 1, 'r', 'book'),
      claim('d', 0, 'w', 'book'),
    ],
  },
];
const DATABASES = 8;

describe('Redis does what the reference does', () => {
  test.each(SOAK ? [...WORLDS, ...LARGER_WORLDS] : WORLDS)(
    'in every state that can be reached: $what',
    { timeout: TIMEOUT_MS },
    async ({ keys, claims }) => {
      const pool = (database: number) => engineOn(server().address, {}, database).getRedis();
      const { states, steps } = await explore(
        [pool(0), ...Array.from({ length: DATABASES }, (_, i) => pool(i + 1))],
        keys,
        claims,
      );
      console.log(`${states} states, ${steps} steps`);
      // Or nothing was proved.
      expect(steps).toBeGreaterThan(states);
    },
  );

  test('in long random histories of many claims of every kind', { timeout: TIMEOUT_MS }, async () => {
    const pool = engineOn(server().address).getRedis();
    await fc.assert(
      fc.asyncProperty(fc.array(choice, { minLength: 1, maxLength: 60, size: 'max' }), (choices) =>
        RealWorld.in(pool, KEYS, PROCESSES, async (world) => {
          let next = 0;
          for (const { does, what, whose } of choices) {
            const operation = OPERATIONS[does](world.state, what, whose, `c${next++}`);
            if (operation && applies(world.state, operation)) await world.step(operation);
          }
        }),
      ),
      { seed: SEED, numRuns: SOAK ? 3_000 : 100 },
    );
  });
});

function claim(id: string, process: number, kind: Claim['kind'], ...keys: string[]): Claim {
  return { id, process, kind, keys };
}

const KEYS = ['one', 'two', 'book', 'permits'];
const PROCESSES = 3;
const KINDS: readonly (readonly [Claim['kind'], ...string[]])[] = [
  ['x', 'one'],
  ['x', 'two'],
  ['x', 'one', 'two'],
  ['x', 'two', 'one'],
  ['r', 'book'],
  ['w', 'book'],
  ['s', 'permits'],
];

type Choose = (state: State, what: number, whose: number, id: string) => Operation | undefined;

const anew =
  (does: 'obtain' | 'wait'): Choose =>
  (_, what, whose, id) => {
    const [kind, ...keys] = KINDS[what % KINDS.length] as (typeof KINDS)[number];
    return { does, claim: claim(id, whose % PROCESSES, kind, ...keys) };
  };
const known =
  (does: Extract<Operation, { id: string }>['does']): Choose =>
  ({ claims }, what) => {
    // Mostly those that asked lately.
    const ids = Object.keys(claims).slice(-8);
    const id = ids[what % ids.length];
    return id === undefined ? undefined : { does, id };
  };
const holding =
  (does: 'release' | 'expire'): Choose =>
  ({ holders }, what) => {
    const ids = Object.values(holders)
      .flat()
      .filter((id) => id !== 'stranger');
    const id = ids[what % ids.length];
    return id === undefined ? undefined : { does, id };
  };

const OPERATIONS = {
  obtain: anew('obtain'),
  wait: anew('wait'),
  'wait again': known('wait again'),
  release: holding('release'),
  'release what is not held': known('release'),
  refresh: known('refresh'),
  leave: known('leave'),
  'leave or keep': known('leave or keep'),
  expire: holding('expire'),
  'lose subscription': (_, __, whose) => ({ does: 'lose subscription', process: whose % PROCESSES }),
  subscribe: (_, __, whose) => ({ does: 'subscribe', process: whose % PROCESSES }),
  intrude: (_, what) => ({ does: 'intrude', key: KEYS[what % 2] as string }),
  delete: (_, what) => ({ does: 'delete', key: KEYS[what % KEYS.length] as string }),
  flush: () => ({ does: 'flush' }),
} satisfies Record<string, Choose>;

const WEIGHTS: Readonly<Record<keyof typeof OPERATIONS, number>> = {
  obtain: 2,
  wait: 12,
  'wait again': 3,
  release: 8,
  'release what is not held': 1,
  refresh: 1,
  leave: 2,
  'leave or keep': 2,
  expire: 3,
  'lose subscription': 2,
  subscribe: 2,
  intrude: 1,
  delete: 1,
  flush: 1,
};

const choice = fc.record({
  does: fc.oneof(
    ...(Object.keys(WEIGHTS) as (keyof typeof OPERATIONS)[]).map((does) => ({
      weight: WEIGHTS[does],
      arbitrary: fc.constant(does),
    })),
  ),
  what: fc.nat(1_000),
  whose: fc.nat(PROCESSES - 1),
});
