import { describe, expect, test } from 'vitest';
import { ruleOfRaw, ruleOfTyped } from '../../src/pool/guard.js';

/** A command line, and how long it may block in ms: 0 is for ever, `undefined` not at all. */
const LINES: readonly [line: string, blockMs: number | undefined][] = [
  ['BLPOP a b 1.5', 1_500],
  ['BRPOP a 0', 0],
  ['BLMOVE a b LEFT RIGHT 0.01', 10],
  ['BRPOPLPUSH a b 2', 2_000],
  ['BLMPOP 3 2 a b LEFT COUNT 10', 3_000],
  ['BZMPOP 0 1 a MIN', 0],
  ['BZPOPMIN a b 4', 4_000],
  ['BLMOVEM a b LEFT RIGHT 5', 5_000],
  ['BLMOVEM a b LEFT RIGHT 5 COUNT 100 BULK', 5_000],
  ['BLMOVEM a b LEFT RIGHT 0 EXACTLY 7 OBO', 0],
  ['XREAD STREAMS a 0', undefined],
  ['XREAD COUNT 5 BLOCK 100 STREAMS a $', 100],
  ['XREAD block 0 streams a $', 0],
  ['XREAD STREAMS BLOCK 0', undefined],
  ['XREADGROUP GROUP BLOCK c STREAMS a >', undefined],
  ['XREADGROUP GROUP g BLOCK NOACK STREAMS a >', undefined],
  ['XREADGROUP GROUP g c COUNT 1 BLOCK 20 NOACK STREAMS a >', 20],
  ['TS.READ BLOCK -', undefined],
  ['TS.READ a $ BLOCK 50 1', 50],
  ['TS.READ a - MAX_COUNT 5', undefined],
  ['WAIT 1 250', 250],
  ['WAITAOF 1 1 0', 0],
  ['XREADGROUP GROUP g c CLAIM 5 BLOCK 20 STREAMS a >', 20],
  ['XREAD BLOCK 5 BLOCK 0 STREAMS a $', 0],
  // Redis reads more as a number than a plain decimal: 0x1p3 is 8, and -0.0001 s is rounded to 0, which is for ever.
  ['BLPOP a 0x1p3', 0],
  ['BLPOP a 1e3', 0],
  ['BLPOP a +1', 0],
  ['BLPOP a -0.0001', 0],
  ['BLPOP a 0.1e1', 0],
  ['BLPOP a nan', 0],
  ['BLPOP a infinity', 0],
  ['BLPOP a 99999999999999999999', 0],
  ['BLMPOP 0x10 1 a LEFT', 0],
  ['BLMOVE a b LEFT RIGHT 0x.8p1', 0],
  ['BZPOPMIN a 1_000', 0],
  ['XREAD BLOCK 0x10 STREAMS a $', 0],
  ['XREAD SOMETHING BLOCK 0 STREAMS a $', 0],
  ['TS.READ a $ BLOCK 1e1 1', 0],
  ['WAIT 1 1e3', 0],
  // A command that lacks its timeout is an error, which blocks nothing.
  ['BLPOP', undefined],
  ['BLPOP a', undefined],
];

describe('how long a command may block', () => {
  test.each(LINES)('%s: %s ms', (line, blockMs) => {
    const args = line.split(' ');
    for (const rule of [ruleOfTyped(args), ruleOfRaw(args.map((word) => Buffer.from(word)))]) {
      expect(rule && 'blockMs' in rule ? rule.blockMs?.(args) : 'no rule').toBe(blockMs);
    }
  });
});

describe('a rule of a subcommand', () => {
  test.each(['CLIENT LIST', 'SCRIPT LOAD', 'CLIENT', 'GET CLIENT REPLY'])(
    'is not one of its neighbours: %s',
    (line) => {
      expect(ruleOfRaw(line.split(' '))).toBeUndefined();
      expect(ruleOfTyped(line.split(' '))).toBeUndefined();
    },
  );
});
