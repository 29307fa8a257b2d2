import { describe, expect, test } from 'vitest';
import { defineScript, type QueryEvent, Registry } from '../../src/index.js';
import { useRedis } from '../support/redis.js';
import { engineOf } from '../topology/support.js';

const server = useRedis();

function logged() {
  const engine = engineOf(new Registry().registerRedis(server().address));
  const events: QueryEvent[] = [];
  engine.registerQueryLogger((event) => events.push(event));
  return { redis: engine.getRedis(), events };
}

describe('the query log', () => {
  test('shows no failure where a script was not known and is sent whole, batched or alone', async () => {
    const { redis, events } = logged();
    const batched = defineScript({ lua: 'return { 1 }', keys: 1, args: 0, batch: 5 });
    const alone = defineScript({ lua: 'return 2', keys: 0 });
    await redis.scriptFlush();
    events.length = 0;
    expect(await Promise.all([redis.runScript(batched, ['l:k']), redis.runScript(alone, [])])).toEqual([1, 2]);
    expect(await redis.isolated((own) => own.runScript(defineScript({ lua: 'return 3' }), []))).toBe(3);
    expect(events.filter(({ error }) => error)).toEqual([]);
    expect(events.filter(({ operation }) => operation === 'EVAL')).toHaveLength(3);
    // A caller who is told of it is shown as one.
    await redis.evalSha('0'.repeat(40)).catch(() => undefined);
    expect(events.at(-1)?.error?.message).toContain('NOSCRIPT');
  });

  test('says which feature sent a command, and nothing of the commands of its user', async () => {
    const { redis, events } = logged();
    const featuresOf = async (work: () => Promise<unknown>) => {
      events.length = 0;
      await work();
      return [...new Set(events.map(({ feature }) => feature))];
    };
    const cache = redis.getCache({ prefix: 'l' });
    const limiter = redis.getRateLimiter({ limit: 5, period: '1h' });
    expect(await featuresOf(() => redis.rateLimit('l:k', '1s', 5))).toEqual(['limit']);
    expect(await featuresOf(() => limiter.penalty('l:k'))).toEqual(['limit']);
    expect(await featuresOf(() => redis.getLocker().run('l:lock', { ttl: '2s' }, async () => 1))).toEqual(['lock']);
    expect(await featuresOf(() => cache.put('key', 1))).toEqual(['cache']);
    expect(await featuresOf(() => cache.getOrSet('other', () => 1))).toEqual(['cache']);
    const own = () => Promise.all([redis.get('l:k'), redis.multi().get('l:k').exec(), redis.blPop('l:none', 0.01)]);
    expect(await featuresOf(own)).toEqual([undefined]);
    expect(events.every((event) => !('feature' in event))).toBe(true);
  });

  test('has one CLIENT ID a connection, however many blocking commands it has', async () => {
    const { redis, events } = logged();
    const view = redis.withAbortSignal(new AbortController().signal);
    await redis.rPush(
      'l:list',
      Array.from({ length: 20 }, (_, i) => String(i)),
    );
    for (let i = 0; i < 10; i++) {
      expect(await view.blPop('l:list', 1)).not.toBeNull();
      expect(await redis.blPop('l:list', 1)).not.toBeNull();
    }
    expect(events.filter(({ operation }) => operation === 'CLIENT ID')).toHaveLength(1);
  });
});
