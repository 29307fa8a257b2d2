import fc from 'fast-check';
import { createClient } from 'redis';
import { describe, expect, it } from 'vitest';
import { knownOperations, redactArgs, redactCommand } from '../../src/observe/redact.js';
import type { RuleRow } from '../../src/observe/redact-rule.js';
import { coreRules } from '../../src/observe/redact-rules-core.js';
import { moduleRules } from '../../src/observe/redact-rules-modules.js';
import { useRedis } from '../support/redis.js';
import { lines, plainSamples, secretSamples } from './command-samples.js';

const rows: readonly RuleRow[] = [...coreRules, ...moduleRules];
const operationsOf = ([, names]: RuleRow) => names.split(/\s+/).map((name) => name.replace('|', ' '));
const isSecret = (word: string) => word.includes('@');

/** In lower, upper or mixed case, as a string or as a Buffer. */
function spelt(word: string, style: number): string | Buffer {
  const text = [
    () => word.toUpperCase(),
    () => word.toLowerCase(),
    () => [...word].map((character, i) => (i % 2 ? character.toLowerCase() : character.toUpperCase())).join(''),
  ][style % 3]?.() as string;
  return style < 3 ? text : Buffer.from(text);
}

describe('what is hidden', () => {
  const cases = lines(secretSamples);

  it.each(cases.map((words) => [words.join(' '), words] as const))('%s', (_, words) => {
    expect(redactArgs(words)).toEqual(words.map((word) => (isSecret(word) ? '?' : word)));
  });

  it('covers every command of the table that has something to hide', () => {
    const covered = new Set(cases.map((words) => redactCommand(words).operation));
    const hiding = rows.filter(([rule]) => rule.includes('?')).flatMap(operationsOf);
    expect(hiding.filter((operation) => !covered.has(operation))).toEqual([]);
  });

  it('never shows a secret, whatever the secret is and however the command is spelt', () => {
    const secret = fc.oneof(
      fc.uuid().map((id) => `s3cret-${id}`),
      fc.uint8Array({ minLength: 12, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.string({ minLength: 1 }).map((text) => `${text}-hunter2-${text}`),
    );
    const line = fc.constantFrom(...cases);
    fc.assert(
      fc.property(line, secret, fc.integer({ min: 0, max: 5 }), (words, value, style) => {
        const args = words.map((word) => (isSecret(word) ? value : spelt(word, style)));
        const expected = words.map((word) => (isSecret(word) ? '?' : String(spelt(word, style))));
        expect(redactArgs(args)).toEqual(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it('hides a value that looks like a keyword, a number or a stream ID', () => {
    const value = fc.constantFrom('NX', 'EX', 'GET', 'KEYS', 'FIELDS', 'LIMIT', 'STORE', '0', '1-1', '*', '2', 'BYLEX');
    // The code of a function library comes where REPLACE may: Redis could not tell those two apart either.
    const line = fc.constantFrom(...cases.filter(([name, sub]) => `${name} ${sub}` !== 'FUNCTION LOAD'));
    fc.assert(
      fc.property(line, value, (words, word) => {
        // What precedes the values of these may be left out, so that a keyword in the place of the first is a keyword.
        fc.pre(!['ZADD', 'GEOADD', 'ZRANGE', 'ZRANGESTORE', 'VADD', 'TS.MGET'].includes(words[0] as string));
        const args = words.map((sample) => (isSecret(sample) ? word : sample));
        expect(redactArgs(args)).toEqual(words.map((sample) => (isSecret(sample) ? '?' : sample)));
      }),
      { numRuns: 5_000 },
    );
  });

  it('hides what a JSON path compares with', () => {
    expect(redactArgs(['JSON.GET', 'key', '$.users[?(@.email == "a@b.c")].name'])).toEqual(['JSON.GET', 'key', '?']);
    expect(redactArgs(['JSON.DEL', 'key', '$..[?(@.pin==1234)]'])).toEqual(['JSON.DEL', 'key', '?']);
  });

  it('hides the bounds of a range of members even if they look like scores', () => {
    expect(redactArgs(['ZRANGE', 'key', '(1234', '+', 'bylex', 'REV'])).toEqual(['ZRANGE', 'key', '?', '?', '?', '?']);
    expect(redactArgs(['ZRANGESTORE', 'a', 'b', '12', '34', Buffer.from('BYLEX')]).slice(3)).toEqual(['?', '?', '?']);
  });

  it('hides everything from where a line stops making sense', () => {
    expect(redactArgs(['SET', 'key', 'v', 'EX', 'secret', 'NX'])).toEqual(['SET', 'key', '?', 'EX', '?', '?']);
    expect(redactArgs(['SETEX', 'key', 'secret', '10'])).toEqual(['SETEX', 'key', '?', '?']);
    expect(redactArgs(['GET', 'key', 'secret'])).toEqual(['GET', 'key', '?']);
    expect(redactArgs(['EVAL', 'script', '9', 'key', 'secret'])).toEqual(['EVAL', '?', '?', '?', '?']);
    expect(redactArgs(['EVALSHA', 'sha', 'secret', 'key'])).toEqual(['EVALSHA', 'sha', '?', '?']);
    // An option that a later Redis may know: the pairs after it cannot be told apart.
    expect(redactArgs(['XADD', 'key', 'NEW', '1', '*', 'f', 'secret'])).toEqual([
      'XADD',
      'key',
      '?',
      '?',
      '?',
      '?',
      '?',
    ]);
    expect(redactArgs(['set secret', 'secret'])).toEqual(['?', '?']);
  });
});

describe('what is shown', () => {
  it.each(lines(plainSamples).map((words) => [words.join(' '), words] as const))('%s', (_, words) => {
    expect(redactArgs(words)).toEqual(words);
  });

  it('keeps the spelling of what was sent, and names the operation in upper case', () => {
    expect(redactCommand(['config', Buffer.from('set'), 'requirepass', 'secret'])).toEqual({
      operation: 'CONFIG SET',
      args: ['config', 'set', 'requirepass', '?'],
    });
    expect(redactCommand(['client', 'unknown', 'x']).operation).toBe('CLIENT');
    expect(redactCommand([])).toEqual({ operation: '?', args: [] });
  });

  it('escapes what is not printable, so that a key cannot forge a log line', () => {
    expect(redactArgs(['GET', 'a\nb\x1b[31m\u202eé'])).toEqual(['GET', 'a\\x0ab\\x1b[31m\\u{202e}é']);
    expect(redactArgs(['GET', Buffer.from([0, 65, 92, 255])])).toEqual(['GET', '\\x00A\\\\\\xff']);
  });

  it('cuts a long argument and counts the arguments of a long list', () => {
    expect(redactArgs(['GET', 'k'.repeat(129)])).toEqual(['GET', `${'k'.repeat(128)}…`]);
    expect(redactArgs(['GET', Buffer.alloc(1_000_000, 'k')])).toEqual(['GET', `${'k'.repeat(128)}…`]);
    const keys = Array.from({ length: 99 }, (_, i) => `key${i}`);
    expect(redactArgs(['MGET', ...keys])).toEqual(['MGET', ...keys.slice(0, 31), '… 68 more']);
    const pairs = keys.flatMap((key) => [key, 'secret']);
    expect(redactArgs(['MSET', ...pairs]).join()).not.toContain('secret');
  });
});

describe('the table', () => {
  it('has each command once', () => {
    const all = rows.flatMap(operationsOf);
    expect(all.filter((operation, i) => all.indexOf(operation) !== i)).toEqual([]);
  });

  it('knows every command of node-redis, module namespaces included', () => {
    const known = new Set(knownOperations());
    const unknown = nodeRedisCommands().filter(
      (words) => !known.has(words[0] ?? '') && !known.has(words.slice(0, 2).join(' ')),
    );
    expect(unknown).toEqual([]);
  });

  it('falls back to the name alone for a command that node-redis may add', () => {
    for (const [name = ''] of nodeRedisCommands()) {
      expect(redactArgs([`${name}X9`, 'secret', 'secret'])).toEqual([`${name}X9`, '?', '?']);
    }
  });
});

describe('against a server', () => {
  const redis = useRedis();

  it('shows all arguments of those writing commands only that carry no value', async () => {
    const client = await createClient({ url: redis().url }).connect();
    const commands = (await client.command()) as { name: string; flags: Set<string> | string[] }[];
    client.destroy();
    const writing = commands.filter(({ flags }) => [...flags].includes('write')).map(({ name }) => name.toUpperCase());
    expect(writing).toContain('SET');
    const showing = new Set(rows.filter(([rule]) => !rule.includes('?')).flatMap(operationsOf));
    expect(writing.filter((name) => showing.has(name) && !carriesNoValue.has(name))).toEqual([]);
  });
});

/** Looked at one by one: keys, fields, counters, expiries and positions are all that these are given. */
const carriesNoValue = new Set(
  `DEL UNLINK GETDEL GETEX INCR DECR INCRBY DECRBY INCRBYFLOAT INCREX EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RENAME RENAMENX
  MOVE COPY SORT FLUSHALL FLUSHDB SWAPDB BITOP HDEL HINCRBY HINCRBYFLOAT HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST
  HGETDEL HGETEX LPOP RPOP LTRIM LMOVE BLMOVE LMOVEM BLMOVEM RPOPLPUSH BRPOPLPUSH BLPOP BRPOP LMPOP BLMPOP SPOP SINTERSTORE
  SUNIONSTORE SDIFFSTORE PFMERGE ZPOPMIN ZPOPMAX BZPOPMIN BZPOPMAX ZMPOP BZMPOP ZREMRANGEBYRANK ZREMRANGEBYSCORE
  ZUNIONSTORE ZINTERSTORE ZDIFFSTORE ZRANGESTORE XDEL XDELEX XACK XACKDEL XNACK XTRIM XCLAIM XAUTOCLAIM XREADGROUP XSETID
  XCFGSET ARDEL ARDELRANGE ARSEEK JSON.DEL JSON.FORGET JSON.CLEAR JSON.TOGGLE JSON.NUMINCRBY JSON.NUMMULTBY JSON.ARRPOP
  JSON.ARRTRIM BF.RESERVE CF.RESERVE CMS.INITBYDIM CMS.INITBYPROB CMS.MERGE TOPK.RESERVE TDIGEST.CREATE TDIGEST.RESET
  TDIGEST.MERGE TS.DEL TS.CREATERULE TS.DELETERULE FT.ALIASADD FT.ALIASDEL FT.ALIASUPDATE FT.DROPINDEX`.split(/\s+/),
);

/** What node-redis can send, as words: `['GET']`, `['CLIENT', 'ID']`, `['ZADD', 'INCR']`, `['JSON.GET']`. */
function nodeRedisCommands(): string[][] {
  const namespaces = {
    json: 'JSON',
    ft: 'FT',
    ts: 'TS',
    bf: 'BF',
    cms: 'CMS',
    cf: 'CF',
    tDigest: 'TDIGEST',
    topK: 'TOPK',
  };
  const multi = createClient().multi();
  const prototype = Object.getPrototypeOf(multi) as object;
  const getters = Object.entries(Object.getOwnPropertyDescriptors(prototype)).filter(([, { get }]) => get);
  expect(getters.map(([name]) => name).sort()).toEqual(Object.keys(namespaces).sort());
  const found = upperCaseNames(prototype).filter((name) => name !== 'EXEC');
  expect(found.length).toBeGreaterThan(350);
  const ofModules = Object.entries(namespaces).flatMap(([namespace, prefix]) =>
    upperCaseNames(Object.getPrototypeOf(Reflect.get(multi, namespace))).map((name) => `${prefix}.${name}`),
  );
  return [...found, ...ofModules].map(wordsOf);
}

function upperCaseNames(prototype: object): string[] {
  return Object.getOwnPropertyNames(prototype).filter((name) => name === name.toUpperCase());
}

/** Methods whose name is not the words of the command that they send. */
const namedOtherwise: Readonly<Record<string, string>> = {
  CONFIG_RESETASTAT: 'CONFIG RESETSTAT',
  INCREXBYFLOAT: 'INCREX',
  'FT._LIST': 'FT._LIST',
  'FT.PROFILESEARCH': 'FT.PROFILE',
  'FT.PROFILEAGGREGATE': 'FT.PROFILE',
  'TDIGEST.TRIMMED_MEAN': 'TDIGEST.TRIMMED_MEAN',
};

/** A method is named for the command, then for its subcommand or for the option that makes it a method of its own. */
function wordsOf(name: string): string[] {
  const words = namedOtherwise[name]?.split(' ') ?? name.split(/_(?!RO\b|RO_)/);
  return words.map((word) => word.replace(/_RO_.*/, '_RO'));
}
