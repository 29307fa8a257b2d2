import { describe, expect, test } from 'vitest';
import { isUnavailable } from '../../src/errors.js';
import { CommandTimeoutError, defineScript } from '../../src/index.js';
import type { RedisCluster, RedisServer } from '../../src/testing/index.js';
import { failure, timed } from '../support/engine.js';
import { eventually } from '../support/redis.js';
import { ownCluster, startLoad, unhandledDuring } from './support.js';

// Each has a cluster of its own. At the same time, as most of it is waiting for the nodes to agree.

type Own = Awaited<ReturnType<typeof ownCluster>>;

const KEYS = Array.from({ length: 300 }, (_, i) => `key:${i}`);

/** How often a server has refused a command since its statistics were reset. */
async function rejectedBy(server: RedisServer, command: string): Promise<number> {
  const stats = String(await server.cli('INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:.*rejected_calls=(\\d+)`).exec(stats)?.[1]);
}

describe.concurrent('slots that move', () => {
  /** A master other than the one that has `key`. */
  async function otherThanOwner(cluster: RedisCluster, key: string) {
    const owner = await cluster.nodeOf(key);
    const other = (await cluster.masters()).find((master) => master !== owner);
    if (!other) throw new Error('there is one master only');
    return other;
  }

  test('take their commands with them, without an error or a lost write (MOVED)', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    const unhandled = await unhandledDuring(async () => {
      const load = startLoad(redis);
      await eventually(() => load.confirmed.every((count) => count > 10));
      for (const caller of [0, 1, 2, 3]) {
        const key = `load:${caller}`;
        await cluster.moveSlot(key, await otherThanOwner(cluster, key));
      }
      const then = [...load.confirmed];
      await eventually(() => load.confirmed.every((count, caller) => count > (then[caller] ?? 0) + 10));
      await load.stop();
      expect(load.unexpected).toEqual([]);
      expect(load.failed).toBe(0);
      for (const [caller, count] of load.confirmed.entries()) {
        expect(Number(await redis.get(`load:${caller}`))).toBe(count);
      }
    });
    expect(unhandled).toEqual([]);
  });

  test('are served from both sides while they are on their way (ASK)', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    const keys = Array.from({ length: 40 }, (_, i) => `{moving}${i}`);
    await Promise.all(keys.map((key) => redis.set(key, key)));
    const move = await cluster.startMovingSlot('{moving}', await otherThanOwner(cluster, '{moving}'));
    await move.moveKeys(20);
    expect(await Promise.all(keys.map((key) => redis.get(key)))).toEqual(keys);
    // New keys are made on the new side, in a transaction too.
    expect(await redis.set('{moving}new', '1')).toBe('OK');
    expect(await redis.multi().incr('{moving}newer').incr('{moving}newer').exec()).toEqual([1, 2]);
    const script = defineScript({ lua: 'return redis.call("GET", KEYS[1])' });
    expect(await Promise.all(keys.map((key) => redis.runScript(script, [key])))).toEqual(keys);
    // Some keys here and some there: nobody can serve that until the move is over.
    const split = redis.mGet(keys);
    await move.moveKeys();
    expect(await split).toEqual(keys);
    // A key that is missing may be on its way too: the one side sends on, the other to wait, for as long as it takes.
    const missing = redis.mGet([...keys, '{moving}missing']);
    const tooEarly = failure(redis.withTimeout(300).mGet(['{moving}0', '{moving}missing']));
    await move.to.cli('CONFIG', 'RESETSTAT');
    await eventually(async () => (await rejectedBy(move.to, 'mget')) > 12);
    expect(isUnavailable(await tooEarly)).toBe(true);
    await move.finish();
    expect(await missing).toEqual([...keys, null]);
    expect(await redis.get('{moving}new')).toBe('1');
  });

  test('name the whole timeout of what was tried again', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    const keys = ['{moving}0', '{moving}1'];
    await Promise.all(keys.map((key) => redis.set(key, key)));
    const move = await cluster.startMovingSlot('{moving}', await otherThanOwner(cluster, '{moving}'));
    await move.moveKeys(1);
    await move.from.cli('CONFIG', 'RESETSTAT');
    const view = redis.withTimeout('1s');
    const late = [failure(view.mGet(keys)), failure(view.multi().mGet(keys).exec())];
    // Told twice each to try again: some of the time is over.
    await eventually(async () => (await rejectedBy(move.from, 'mget')) >= 4, { interval: 1 });
    await move.from.cli('CLIENT', 'PAUSE', '1500', 'ALL');
    for (const error of await Promise.all(late)) {
      expect(error).toBeInstanceOf(CommandTimeoutError);
      expect(error).toMatchObject({ timeoutMs: 1_000, mayHaveBeenExecuted: true });
      expect(error?.message).toContain('within 1000 ms');
    }
  });

  test('take transactions and blocking commands with them', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    await redis.set('counter', '1');
    await cluster.moveSlot('counter', await otherThanOwner(cluster, 'counter'));
    const replies = await redis.transaction((own) => own.multi().incr('counter').exec(), { watch: 'counter' });
    expect(replies).toEqual([2]);
    await cluster.moveSlot('list', await otherThanOwner(cluster, 'list'));
    const popped = redis.blPop('list', 10);
    await redis.rPush('list', 'element');
    expect(await popped).toEqual({ key: 'list', element: 'element' });
    await cluster.moveSlot('own', await otherThanOwner(cluster, 'own'));
    expect(await redis.isolated((own) => own.set('own', '1'), { key: 'own' })).toBe('OK');
  });

  test('take sharded subscriptions with them', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    const heard: string[] = [];
    let resubscribed = 0;
    await redis.sSubscribe('channel', (message) => heard.push(message), {
      onResubscribe: () => {
        resubscribed++;
      },
    });
    const owner = await cluster.nodeOf('channel');
    const owners = await Promise.all(KEYS.slice(0, 30).map((key) => cluster.nodeOf(key)));
    const stays = KEYS[owners.indexOf(owner)] as string;
    let disturbed = 0;
    await redis.sSubscribe(stays, (message) => heard.push(message), { onResubscribe: () => disturbed++ });
    await cluster.moveSlot('channel', await otherThanOwner(cluster, 'channel'));
    // Nothing else tells this pool that the slot has moved.
    await eventually(() => resubscribed === 1, { timeout: 5_000 });
    await (await cluster.nodeOf('channel')).cli('SPUBLISH', 'channel', 'after the move');
    await eventually(() => heard.includes('after the move'));
    // Those of other slots of the server notice nothing.
    await owner.cli('SPUBLISH', stays, 'as before');
    await eventually(() => heard.includes('as before'));
    expect(disturbed).toBe(0);
    await cluster.moveSlot('channel', owner);
    await eventually(() => resubscribed === 2);
    await owner.cli('SPUBLISH', 'channel', 'back again');
    await eventually(() => heard.includes('back again'));
    expect([disturbed, resubscribed]).toEqual([0, 2]);
  });

  test('are followed by a sharded subscription however many tell of the move, and when', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open().getRedis();
    const heard: string[] = [];
    const subscription = await redis.sSubscribe('channel', (message) => heard.push(message));
    let done = false;
    const asking = (async () => {
      while (!done) await redis.get('channel');
    })();
    for (let moves = 1; moves <= 5; moves++) {
      await cluster.moveSlot('channel', await otherThanOwner(cluster, 'channel'));
      await eventually(async () => (await (await cluster.nodeOf('channel')).cli('SPUBLISH', 'channel', 'x')) === 1);
      await eventually(() => heard.length === moves);
    }
    done = true;
    await asking;
    await subscription.unsubscribe();
    expect(await (await cluster.nodeOf('channel')).cli('SPUBLISH', 'channel', 'x')).toBe(0);
  });

  test('go to a node that was added, and from one that is removed', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const engine = open();
    const redis = engine.getRedis();
    const load = startLoad(redis);
    await eventually(() => load.confirmed.every((count) => count > 10));
    const added = await cluster.addNode();
    for (const caller of [0, 1, 2]) await cluster.moveSlot(`load:${caller}`, added);
    await eventually(async () =>
      (await engine.health()).default.nodes.some(({ address, lanes }) => address === added.address && lanes.connected),
    );
    const [removed] = (await cluster.masters()).filter((master) => master !== added);
    if (!removed) throw new Error('no master is left');
    await cluster.removeNode(removed);
    await eventually(
      async () => !(await engine.health()).default.nodes.some(({ address }) => address === removed.address),
      { timeout: 15_000 },
    );
    const then = [...load.confirmed];
    await eventually(() => load.confirmed.every((count, caller) => count > (then[caller] ?? 0) + 10));
    await load.stop();
    expect(load.unexpected).toEqual([]);
    for (const [caller, count] of load.confirmed.entries()) {
      expect(Number(await redis.get(`load:${caller}`))).toBeGreaterThanOrEqual(count);
    }
  });
});

describe.concurrent('a failover of a cluster', () => {
  async function survives({ cluster, open }: Own, fail: () => Promise<unknown>): Promise<void> {
    const engine = open();
    await engine.connect();
    const redis = engine.getRedis();
    const heard: string[] = [];
    for (const channel of KEYS.slice(0, 6)) await redis.sSubscribe(channel, (message) => heard.push(message));
    await redis.subscribe('news', (message) => heard.push(message));
    const unhandled = await unhandledDuring(async () => {
      const load = startLoad(redis);
      await eventually(() => load.confirmed.every((count) => count > 10));
      const old = await cluster.nodeOf('load:0');
      await fail();
      await eventually(
        async () => {
          const nodes = await cluster.masters().catch((): RedisServer[] => []);
          return nodes.length === 3 && !nodes.includes(old);
        },
        { timeout: 25_000 },
      );
      const then = [...load.confirmed];
      await eventually(() => load.confirmed.every((count, caller) => count > (then[caller] ?? 0)), { timeout: 8_000 });
      await eventually(
        async () => {
          heard.length = 0;
          await Promise.all(KEYS.slice(0, 6).map((channel) => redis.sPublish(channel, channel)));
          await redis.publish('news', 'news');
          await eventually(() => heard.length >= 7, { timeout: 300 });
        },
        { timeout: 15_000 },
      );
      await load.stop();
      expect(load.unexpected).toEqual([]);
    });
    expect(unhandled).toEqual([]);
    const { status, nodes } = (await engine.health()).default;
    expect([status, nodes.length]).toEqual(['up', 3]);
    expect(redis.stats().pending).toBe(0);
  }

  test('by kill -9 of a master under load: nothing hangs, service resumes, subscriptions come back', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const old = await cluster.nodeOf('load:0');
    await survives({ cluster, open }, () => old.kill());
  });

  test('by SIGSTOP of a master under load: nothing hangs, service resumes, subscriptions come back', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const old = await cluster.nodeOf('load:0');
    await survives({ cluster, open }, () => old.freeze());
  });

  test('by command, under load: a replica takes over, and nothing is lost', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const old = await cluster.nodeOf('load:0');
    await survives({ cluster, open }, async () => {
      const [replica] = await cluster.replicasOf(old);
      if (!replica) throw new Error('the master has no replica');
      await cluster.failover(replica);
    });
  });

  test('sends to the successor what waited for a master that is gone', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const redis = open({ commandTimeout: '20s', pool: { acquireTimeout: '20s' } }).getRedis();
    await redis.set('load:0', '1');
    await (await cluster.nodeOf('load:0')).kill();
    await eventually(() => redis.stats().reconnects > 0);
    const waiting = Array.from({ length: 20 }, (_, i) => redis.set(`{load:0}${i}`, '1'));
    const heard: string[] = [];
    const subscribing = redis.sSubscribe('{load:0}', (message) => heard.push(message));
    const [replies] = await Promise.all([Promise.all(waiting), subscribing]);
    expect(replies).toEqual(waiting.map(() => 'OK'));
    await redis.sPublish('{load:0}', 'heard');
    await eventually(() => heard.includes('heard'));
  });

  test('ends what is in flight to a master that was replaced, long before its timeout', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const redis = open({ commandTimeout: '25s' }).getRedis();
    await redis.set('load:0', '1');
    const blocked = failure(redis.blPop('{load:0}list', 0));
    await eventually(() => redis.stats().leases.inUse === 1);
    await (await cluster.nodeOf('load:0')).freeze();
    const inFlight = await failure(redis.incr('load:0'));
    expect(inFlight).toMatchObject({ code: 'LAGOON_CONNECTION', mayHaveBeenExecuted: true });
    expect(inFlight?.message).toContain('not a master of the cluster any more');
    expect((await blocked)?.code).toBe('LAGOON_CONNECTION');
    await eventually(() => redis.get('load:0'));
  });

  test('leaves the other masters at work', async (context) => {
    const { cluster, open } = await ownCluster(context);
    const redis = open().getRedis();
    const old = await cluster.nodeOf('load:0');
    const others = (await Promise.all(KEYS.map(async (key) => ({ key, owner: await cluster.nodeOf(key) })))).filter(
      ({ owner }) => owner !== old,
    );
    await redis.set('load:0', '1');
    await old.freeze();
    const stuck = failure(redis.withTimeout(300).get('load:0'));
    for (const { key } of others.slice(0, 20)) expect(await redis.set(key, '1')).toBe('OK');
    expect((await stuck)?.code).toBe('LAGOON_COMMAND_TIMEOUT');
  });
});

describe.concurrent('a cluster that is away', () => {
  test('keeps nobody waiting for longer than the timeout if all of it is frozen, nor close()', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const engine = open({ commandTimeout: 500, connectTimeout: 500 });
    const redis = engine.getRedis();
    await Promise.all(KEYS.map((key) => redis.withTimeout('20s').set(key, '1')));
    await Promise.all(cluster.nodes.map((node) => node.freeze()));
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled([
      ...KEYS.slice(0, 50).map((key) => redis.get(key)),
      redis.ping(),
      redis.dbSize(),
      redis.multi().get('key:1').exec(),
      redis.isolated((own) => own.get('key:1'), { key: 'key:1' }),
      redis.subscribe('news', () => {}),
      redis.sSubscribe('news', () => {}),
      open({ commandTimeout: 500, connectTimeout: 500 }).connect(),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect((await engine.health()).default.status).toBe('down');
    expect(await timed(engine.close({ timeout: '1s' }))).toBeLessThan(4_000);
  });

  test('is used again by itself once it is back', async (context) => {
    const { cluster, open } = await ownCluster(context, { replicasPerMaster: 0 });
    const redis = open({ commandTimeout: '1s' }).getRedis();
    await redis.set('k', '1');
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    expect((await failure(redis.set('k', '2')))?.message).toBeDefined();
    await Promise.all(cluster.nodes.map((node) => node.restart()));
    await eventually(() => Promise.all(KEYS.map((key) => redis.set(key, '3'))), { timeout: 15_000, interval: 50 });
  });
});
