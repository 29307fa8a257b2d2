import { expect, test } from 'vitest';
import { defineScript, ReplyError } from '../../src/index.js';
import { failure } from '../support/engine.js';
import type { Site } from './site.js';

const ADD = defineScript({
  lua: "-- KEYS[1] a counter, ARGV[1] a step; returns the counter\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
  keys: 1,
  args: 1,
  transform: (reply) => ({ count: Number(reply) }),
});

const ADD_EACH = defineScript<number>({
  lua: `local replies = {}
    for i = 1, #KEYS do
      if ARGV[i] == 'fail' then replies[i] = redis.error_reply('OWN reason')
      else replies[i] = redis.call('INCRBY', KEYS[i], ARGV[i]) end
    end
    return replies`,
  keys: 1,
  args: 1,
  batch: 64,
});

/** runScript(), EVAL and functions. */
export function scripts(site: Site): void {
  test('run on the server of their keys, known there or not', async () => {
    const { redis, elsewhere } = site;
    const keys = site.keys(30, 'script');
    expect(await Promise.all(keys.map((key, i) => redis.runScript(ADD, [key], [i])))).toEqual(
      keys.map((_, i) => ({ count: i })),
    );
    await redis.scriptFlush();
    expect(await Promise.all(keys.map((key) => elsewhere.runScript(ADD, [key], [1])))).toEqual(
      keys.map((_, i) => ({ count: i + 1 })),
    );
  });

  test('have several keys if they share a slot', async () => {
    const key = site.key('script');
    const script = defineScript({ lua: 'return { KEYS[1], KEYS[2], ARGV[1], ARGV[2] }' });
    expect(await site.redis.runScript(script, [`${key}:a`, `${key}:b`], ['text', 1.5])).toEqual([
      site.inRedis(`${key}:a`),
      site.inRedis(`${key}:b`),
      'text',
      '1.5',
    ]);
  });

  test('that can share a call give each caller its own reply or error', async () => {
    const { redis } = site;
    const keys = site.keys(20, 'batch');
    const [one = ''] = keys;
    const calls = [
      ...keys.map((key) => redis.runScript(ADD_EACH, [key], [1])),
      ...keys.map((key) => redis.runScript(ADD_EACH, [`${key}:other`], [2])),
      redis.runScript(ADD_EACH, [one], ['fail']),
      redis.withTimeout('10s').runScript(ADD_EACH, [`${one}:alone`], [5]),
    ];
    const outcomes = await Promise.allSettled(calls);
    const values = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason));
    expect(values.slice(0, 40)).toEqual([...keys.map(() => 1), ...keys.map(() => 2)]);
    expect(values[40]).toBeInstanceOf(ReplyError);
    expect(values[40].replyCode).toBe('OWN');
    expect(values[41]).toBe(5);
  });

  test('are loaded where they may be needed', async () => {
    const { redis } = site;
    const sha = await redis.scriptLoad("return redis.call('SET', KEYS[1], ARGV[1])");
    for (const key of site.keys(10, 'loaded')) {
      // Another test may flush the scripts just now.
      const stored = await redis.evalSha(sha, { keys: [key], arguments: ['v'] }).catch((error: ReplyError) => {
        expect(error.replyCode).toBe('NOSCRIPT');
        return redis.eval("return redis.call('SET', KEYS[1], ARGV[1])", { keys: [key], arguments: ['v'] });
      });
      expect(stored).toBe('OK');
      expect(await redis.get(key)).toBe('v');
    }
    const error = await failure(redis.eval("return redis.call('LPUSH', KEYS[1], 'x')", { keys: [await text(site)] }));
    expect(error).toBeInstanceOf(ReplyError);
  });

  test('functions of a library', async () => {
    const { redis } = site;
    await redis.functionLoad(
      `#!lua name=features
       redis.register_function('features_set', function(keys, args) return redis.call('SET', keys[1], args[1]) end)`,
      { REPLACE: true },
    );
    for (const key of site.keys(10, 'function')) {
      expect(await redis.fCall('features_set', { keys: [key], arguments: ['v'] })).toBe('OK');
      expect(await redis.get(key)).toBe('v');
    }
  });
}

/** A key that holds a string. */
async function text(site: Site): Promise<string> {
  const key = site.key('text');
  await site.redis.set(key, 'text');
  return key;
}
