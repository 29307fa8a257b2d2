import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createClient } from 'redis';
import { describe, expect, test } from 'vitest';
import { CommandRefusedError } from '../../src/index.js';
import { CALLS } from '../../src/pool/call-table.js';
import type { Rule } from '../../src/pool/command-table.js';
import { type CommandArgs, commandNames, createEncoder, type Encoder } from '../../src/pool/node-redis.js';
import { useRedis } from '../support/redis.js';
import { sampleCall } from './call-samples.js';
import { type Kind, KNOWN_COMMANDS, KNOWN_OWN_METHODS } from './known-commands.js';
import { failure, usePools } from './support.js';

type Call = (...args: unknown[]) => unknown;

const { methods, modules } = commandNames();
const names = [
  ...methods,
  ...Object.entries(modules).flatMap(([module, functions]) => functions.map((name) => `${module}.${name}`)),
];

/** An argument for what has no types: it has every property, and is 1 as text and as a number. */
const anything: unknown = new Proxy(() => {}, {
  get(_, property) {
    if (property === Symbol.toPrimitive || property === 'toString') return () => '1';
    if (property === Symbol.iterator) return () => [anything].values();
    return property === 'length' ? 1 : anything;
  },
  apply: () => anything,
});

/** Calls a method, or a function of a module, whose name is `name`. */
function call(target: object, name: string): unknown {
  const [method = '', fn] = name.split('.');
  const owner = target as Record<string, Call & Record<string, Call>>;
  const args = name in CALLS ? sampleCall(name) : Array(7).fill(anything);
  return fn === undefined ? owner[method]?.(...args) : owner[method]?.[fn]?.(...args);
}

/** Methods of a client that say what a pool has instead. */
const THROWING = ['close', 'connect', 'destroy', 'disconnect'];

describe('the list of known commands', () => {
  test('has every command of node-redis, and no other', () => {
    const unknown = names.filter((name) => !KNOWN_COMMANDS.has(name));
    const gone = [...KNOWN_COMMANDS.keys()].filter((name) => !names.includes(name));
    expect(
      { unknown, gone },
      'Decide in command-table.ts what becomes of each, and say it in known-commands.ts',
    ).toEqual({
      unknown: [],
      gone: [],
    });
    expect(names).toHaveLength(KNOWN_COMMANDS.size);
  });

  test("has every other public method of node-redis's client, and no other", () => {
    const client = createClient();
    const own = new Set<string>();
    for (
      let prototype = Object.getPrototypeOf(client);
      prototype.constructor.name !== 'EventEmitter';
      prototype = Object.getPrototypeOf(prototype)
    ) {
      for (const name of Object.getOwnPropertyNames(prototype)) own.add(name);
    }
    client.destroy();
    const isPublic = (name: string) => !name.startsWith('_') && name !== name.toUpperCase() && name !== 'constructor';
    const found = [...own].filter((name) => isPublic(name) && !names.includes(name) && !(name in modules));
    expect(found.sort()).toEqual([...KNOWN_OWN_METHODS.keys()].sort());
  });
});

describe('the data of known commands', () => {
  test('is what node-redis knows', () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const printed = execFileSync(process.execPath, ['scripts/known-commands.mjs', '--print'], {
      cwd: root,
      encoding: 'utf8',
    });
    const committed = readFileSync(new URL('../../src/pool/known-commands-data.ts', import.meta.url), 'utf8');
    expect(printed === committed, 'Run: node scripts/known-commands.mjs').toBe(true);
  });
});

describe('what a pool does with a command', () => {
  const redis = useRedis();
  const open = usePools(redis);

  /** A pool that shows what it was asked to send instead of sending it. */
  function recorder() {
    const sent: { args: CommandArgs; rule: Rule | undefined }[] = [];
    const send = async (args: CommandArgs, _transform: unknown, rule: Rule | undefined) => sent.push({ args, rule });
    return { sent, pool: Object.create(open(), { send: { value: send } }) as object };
  }

  const KIND_OF_RULE = {
    refused: 'refused',
    isolated: 'isolated',
    blocking: 'leased',
    untrusted: 'untrusted',
  } as const;

  test('is what the list says, for every typed method and every function of a module', async () => {
    const { sent, pool } = recorder();
    const encoder = createEncoder('') as Encoder & object;
    const kinds = new Map<string, Kind>();
    for (const name of names) {
      sent.length = 0;
      await call(pool, name);
      const [{ args, rule } = { args: [], rule: undefined }] = sent;
      expect(sent, name).toHaveLength(1);
      expect(args, name).toEqual(call(encoder, name));
      kinds.set(name, rule ? KIND_OF_RULE[rule.kind] : 'forwarded');
    }
    expect(Object.fromEntries(kinds)).toEqual(Object.fromEntries(KNOWN_COMMANDS));
  });

  test('is to reject, for what is refused or kept to isolated connections', async () => {
    const pool = open();
    const kept = [...KNOWN_COMMANDS, ...KNOWN_OWN_METHODS].filter(
      ([, kind]) => kind === 'refused' || kind === 'isolated',
    );
    expect(kept.length).toBeGreaterThan(20);
    for (const [name] of kept) {
      expect(await failure(() => call(pool, name)), name).toBeInstanceOf(CommandRefusedError);
    }
    expect(pool.stats().connections).toBe(0);
  });

  test("leaves none of the client's own methods to chance", () => {
    const pool = open();
    for (const [name, kind] of KNOWN_OWN_METHODS) {
      if (name === 'duplicate') expect(() => pool[name as keyof typeof pool]).toThrow('use isolated(fn)');
      else if (THROWING.includes(name)) expect(() => pool[name as keyof typeof pool], name).toThrow('use engine.');
      else {
        const expected = kind === 'not offered' ? 'undefined' : 'function';
        expect([name, typeof pool[name as keyof typeof pool]]).toEqual([name, expected]);
      }
    }
  });
});
