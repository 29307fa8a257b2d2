import { describe, expect, test } from 'vitest';
import { ReplyError } from '../../src/index.js';
import { signatureOf } from '../../src/pool/call-check.js';
import { CALLS } from '../../src/pool/call-table.js';
import { type CommandArgs, createEncoder, type Encoder } from '../../src/pool/node-redis.js';
import { useRedis } from '../support/redis.js';
import { sampleCall } from './call-samples.js';
import { usePools } from './support.js';

type Encodes = Record<
  string,
  ((...args: unknown[]) => CommandArgs) & Record<string, (...args: unknown[]) => CommandArgs>
>;

const PREFIX = 'prefix of the pool:';
/** It is refused with a prefix. */
const REFUSED = ['randomKey'];
const names = Object.keys(CALLS).filter((name) => !name.endsWith('Iterator') && !REFUSED.includes(name));

/** What has the prefix though the server calls it no key. */
const NOT_OF_THE_SERVER: Readonly<Record<string, string>> = {
  clusterKeySlot: 'key',
  keys: 'pattern',
  scan: 'options.MATCH',
};

/** The keys of commands that the server of the tests does not know; of all that are not here it is `key`. */
const BY_HAND: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    `bgRewriteAof blessScan clusterMyShardId command dbSize ft._list ft.aggregate ft.aggregateWithCursor ft.aliasAdd ft.aliasDel
    ft.aliasList ft.aliasUpdate ft.alter ft.configGet ft.configSet ft.cursorDel ft.cursorRead ft.dictAdd ft.dictDel ft.dictDump
    ft.dropIndex ft.explain ft.explainCli ft.hybrid ft.info ft.profileAggregate ft.spellCheck ft.synDump ft.synUpdate ft.tagVals
    hImportDiscard hImportDiscardAll hImportPrepare hotkeysGet hotkeysReset hotkeysStart hotkeysStop lastSave restoreAsking role time
    ts.mGet ts.mGetSelectedLabels ts.mGetWithLabels ts.mRange ts.mRangeGroupBy ts.mRangeMultiAggr ts.mRangeSelectedLabels
    ts.mRangeSelectedLabelsGroupBy ts.mRangeSelectedLabelsMultiAggr ts.mRangeWithLabels ts.mRangeWithLabelsGroupBy
    ts.mRangeWithLabelsMultiAggr ts.mRevRange ts.mRevRangeGroupBy ts.mRevRangeMultiAggr ts.mRevRangeSelectedLabels
    ts.mRevRangeSelectedLabelsGroupBy ts.mRevRangeSelectedLabelsMultiAggr ts.mRevRangeWithLabels ts.mRevRangeWithLabelsGroupBy
    ts.mRevRangeWithLabelsMultiAggr ts.queryIndex ts.queryLabelValues ts.queryLabels`
      .split(/\s+/)
      .map((name) => [name, '']),
  ),
  blMoveM: 'source destination',
  lMoveM: 'source destination',
  mSetEx: 'keyValuePairs.a',
  sDiffCard: 'keys',
  sUnionCard: 'keys',
  'cms.merge': 'destination source[0].name source[1].name',
  'ft.create': 'options.PREFIX',
  'ft.profileSearch': 'options.INKEYS',
  'ft.search': 'options.INKEYS',
  'ft.searchNoContent': 'options.INKEYS',
  'json.mGet': 'keys[0] keys[1]',
  'json.mSet': 'items[0].key items[1].key',
  'tDigest.merge': 'destination source',
  'ts.createRule': 'sourceKey destinationKey',
  'ts.deleteRule': 'sourceKey destinationKey',
  'ts.mAdd': 'toAdd[0].key toAdd[1].key',
  'ts.nRange': 'keys[0] keys[1]',
  'ts.nRevRange': 'keys[0] keys[1]',
};

const plain = createEncoder('') as Encoder & object;
const prefixing = createEncoder(PREFIX) as Encoder & object;

function encode(encoder: object, name: string, args: unknown[]): string[] {
  const [method = '', fn] = name.split('.');
  const owner = encoder as Encodes;
  const encoded = fn === undefined ? owner[method]?.(...args) : owner[method]?.[fn]?.(...args);
  return (encoded ?? []).map(String);
}

describe('of every typed command', () => {
  const redis = useRedis();
  const open = usePools(redis);
  // One or several, where it may be either: several are `keys[0] keys[1]` where one is `keys`.
  test.each([false, true])('the prefix stands before the keys, and before nothing else (lists: %s)', async (lists) => {
    expect(names.length).toBeGreaterThan(500);
    const pool = open();
    const wrong: object[] = [];
    for (const name of names) {
      for (const call of signatureOf(name).calls.keys()) {
        const args = sampleCall(name, lists, call);
        const sent = encode(plain, name, args);
        const withPrefix = encode(prefixing, name, args);
        const keys = withPrefix.filter((arg) => arg.startsWith(PREFIX)).map((arg) => arg.slice(PREFIX.length));
        const expected = NOT_OF_THE_SERVER[name]?.split(' ') ?? (await keysOf(sent)) ?? byHand(name, lists);
        const others = withPrefix.map((arg) => (arg.startsWith(PREFIX) ? arg.slice(PREFIX.length) : arg));
        if (String(keys.sort()) !== String(expected.sort()) || String(others) !== String(sent)) {
          wrong.push({ name, keys, expected, sent: sent.join(' ') });
        }
      }
    }
    expect(wrong).toEqual([]);

    async function keysOf(command: string[]): Promise<string[] | undefined> {
      try {
        return await pool.sendCommand<string[]>(['COMMAND', 'GETKEYS', ...command]);
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        return error.message.includes('no key arguments') ? [] : undefined;
      }
    }
  });
});

function byHand(name: string, lists: boolean): string[] {
  const keys = (BY_HAND[name] ?? 'key').split(' ').filter((key) => key !== '');
  const isOneOrMore = (key: string) => /^(keys|source|options\.(PREFIX|INKEYS))$/.test(key) && !/Move/.test(name);
  if (name === 'mSetEx' && lists) return ['keyValuePairs[0][0]', 'keyValuePairs[1][0]'];
  return lists ? keys.flatMap((key) => (isOneOrMore(key) ? [`${key}[0]`, `${key}[1]`] : [key])) : keys;
}
