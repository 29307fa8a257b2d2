import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { createCluster } from 'redis';
import { describe, expect, type TestContext, test } from 'vitest';
import { BUS_OFFSET, freeNodePort } from '../../src/testing/free-port.js';
import {
  type RedisCluster,
  type RedisServer,
  type StartClusterOptions,
  startCluster,
  startRedis,
} from '../../src/testing/index.js';
import { isGone } from '../../src/testing/process-state.js';
import { eventually } from '../support/redis.js';
import { makeCertificates, testTls } from '../support/tls.js';
import { freePorts } from './free-ports.js';

async function start({ onTestFinished }: TestContext, options?: StartClusterOptions): Promise<RedisCluster> {
  const cluster = await startCluster(options);
  onTestFinished(() => cluster.stop());
  return cluster;
}

/** The master of `key`, and another master. */
async function here(cluster: RedisCluster, key: string): Promise<{ owner: RedisServer; other: RedisServer }> {
  const owner = await cluster.nodeOf(key);
  const other = (await cluster.masters()).find((master) => master !== owner);
  if (!other) throw new Error('there is one master only');
  return { owner, other };
}

// Each with a cluster of its own. At the same time, as most of it is waiting for the nodes to agree.
describe.concurrent('a cluster', () => {
  test('has masters with all the slots, a replica for each, and serves at once', async (context) => {
    const cluster = await start(context);
    const masters = await cluster.masters();
    expect(cluster.nodes).toHaveLength(6);
    expect(cluster.addresses).toEqual(cluster.nodes.map(({ port }) => `127.0.0.1:${port}`));
    expect(masters).toEqual(cluster.nodes.slice(0, 3));
    const replicas = await Promise.all(masters.map((master) => cluster.replicasOf(master)));
    expect(replicas.map((each) => each.length)).toEqual([1, 1, 1]);
    expect(new Set([...masters, ...replicas.flat()])).toEqual(new Set(cluster.nodes));
    for (const node of cluster.nodes) {
      const info = String(await node.cli('CLUSTER', 'INFO'));
      expect(info).toMatch(/cluster_state:ok\r\ncluster_slots_assigned:16384\r\n/);
      expect(info).toContain('cluster_known_nodes:6');
    }
    expect(await cluster.nodeOf(0)).toBe(masters[0]);
    expect(await cluster.nodeOf(16_383)).toBe(masters[2]);
    expect(await cluster.slotOf('foo')).toBe(12_182);
    expect(await cluster.nodeOf('foo')).toBe(await cluster.nodeOf(12_182));
  });

  test('is found by a client that knows one node', async (context) => {
    const cluster = await start(context);
    const [seed] = cluster.nodes;
    const client = await createCluster({ rootNodes: [{ url: String(seed?.url) }] }).connect();
    context.onTestFinished(() => client.destroy());
    for (const key of ['one', 'two', 'three', 'four']) {
      await client.set(key, key);
      expect(await (await cluster.nodeOf(key)).cli('GET', key)).toBe(key);
    }
  });

  test('moveSlot takes the keys along, and every node knows where they are', async (context) => {
    const cluster = await start(context);
    const { owner, other } = await here(cluster, 'moved');
    // More than are moved at a time, and one that is not text.
    await owner.exchange(Array.from({ length: 250 }, (_, n) => ['SET', `{moved}${n}`, String(n)]));
    const bytes = Buffer.from([0xff, 0x00, ...Buffer.from('{moved}')]);
    await owner.exchange([
      ['SET', 'moved', 'text'],
      ['SET', bytes, 'bytes'],
    ]);
    await cluster.moveSlot('moved', other);
    expect(await cluster.nodeOf('moved')).toBe(other);
    expect(await other.cli('GET', 'moved')).toBe('text');
    expect(await other.exchange([['GET', bytes]])).toEqual(['bytes']);
    const slot = String(await cluster.slotOf('moved'));
    expect(await other.cli('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(252);
    for (const node of cluster.nodes.filter((each) => each !== other)) {
      await expect(node.cli('GET', 'moved')).rejects.toThrow(`MOVED ${slot} ${other.address}`);
    }
    await cluster.moveSlot('moved', other); // is there already
    await cluster.moveSlot(Number(slot), owner);
    expect(await owner.cli('GET', 'moved')).toBe('text');
  });

  test('a slot can be held on its way: what has left is answered with ASK, what has not is served', async (context) => {
    const cluster = await start(context);
    const { owner, other } = await here(cluster, 'held');
    const slot = await cluster.slotOf('held');
    await owner.exchange([1, 2, 3].map((n) => ['SET', `{held}${n}`, String(n)]));
    const move = await cluster.startMovingSlot('held', other);
    expect([move.slots, move.from, move.to]).toEqual([[slot], owner, other]);
    const ask = `ASK ${slot} ${other.address}`;
    await expect(owner.cli('GET', '{held}none')).rejects.toThrow(ask);
    expect(await owner.cli('GET', '{held}1')).toBe('1');
    expect(await move.moveKeys(2)).toBe(2);
    expect(await owner.cli('CLUSTER', 'COUNTKEYSINSLOT', String(slot))).toBe(1);
    expect(await move.moveKeys()).toBe(1);
    await expect(owner.cli('GET', '{held}1')).rejects.toThrow(ask);
    await expect(other.cli('GET', '{held}1')).rejects.toThrow(`MOVED ${slot} ${owner.address}`);
    expect(await other.exchange([['ASKING'], ['GET', '{held}1']])).toEqual(['OK', '1']);
    expect(await cluster.nodeOf(slot)).toBe(owner);
    await move.finish();
    expect(await cluster.nodeOf(slot)).toBe(other);
    expect(await other.cli('GET', '{held}1')).toBe('1');
    await expect(owner.cli('GET', '{held}1')).rejects.toThrow('MOVED');
  });

  test('failover makes a master of a replica at once, without losing what was written, time and again', async (context) => {
    const cluster = await start(context);
    const first = await cluster.nodeOf('key');
    const [replica] = await cluster.replicasOf(first);
    for (let turn = 1; turn <= 4; turn++) {
      const before = await cluster.nodeOf('key');
      await before.cli('SET', 'key', String(turn));
      const after = await cluster.failover(turn === 1 ? (replica as RedisServer) : before);
      expect(after).toBe(turn % 2 === 1 ? replica : first);
      expect(await cluster.nodeOf('key')).toBe(after);
      expect(await after.cli('GET', 'key')).toBe(String(turn));
      expect(await cluster.replicasOf(after)).toEqual([before]);
    }
  });

  test('fails over by itself when a master is killed, and takes it back as a replica', async (context) => {
    const cluster = await start(context);
    const before = await cluster.nodeOf('crash');
    const [heir] = await cluster.replicasOf(before);
    await before.kill();
    await cluster.settled();
    expect(await cluster.nodeOf('crash')).toBe(heir);
    expect(await cluster.masters()).toHaveLength(3);
    expect(await heir?.cli('SET', 'crash', 'survived')).toBe('OK');
    await before.restart();
    await cluster.settled();
    expect(await cluster.replicasOf(heir as RedisServer)).toEqual([before]);
    expect(await cluster.masters()).not.toContain(before);
  });

  test('failover does not need the master', async (context) => {
    const cluster = await start(context);
    const before = await cluster.nodeOf('frozen');
    await before.freeze();
    const after = await cluster.failover(before);
    expect(await cluster.nodeOf('frozen')).toBe(after);
    await before.thaw();
    await cluster.settled();
    expect(await cluster.replicasOf(after)).toEqual([before]);
  });

  test('addNode gives a master without slots, or a replica; removeNode brings slots and replicas elsewhere', async (context) => {
    const cluster = await start(context);
    const { owner } = await here(cluster, 'guest');
    await owner.cli('SET', 'guest', 'here');
    const added = await cluster.addNode();
    expect(await cluster.masters()).toContain(added);
    await cluster.moveSlot('guest', added);
    const replica = await cluster.addNode({ replicaOf: added });
    expect(await cluster.replicasOf(added)).toEqual([replica]);
    await eventually(async () => Number(await replica.cli('DBSIZE')) > 0);

    const { pid, socketPath } = added;
    await cluster.removeNode(added);
    expect(await isGone(pid)).toBe(true);
    expect(existsSync(dirname(socketPath))).toBe(false);
    expect(cluster.nodes).not.toContain(added);
    expect(await (await cluster.nodeOf('guest')).cli('GET', 'guest')).toBe('here');
    const masters = await cluster.masters();
    expect((await Promise.all(masters.map((each) => cluster.replicasOf(each)))).flat()).toContain(replica);
    await cluster.removeNode(replica);
    expect(cluster.nodes).toHaveLength(6);
    for (const node of cluster.nodes) {
      expect(String(await node.cli('CLUSTER', 'INFO'))).toContain('cluster_known_nodes:6');
    }
    await expect(cluster.removeNode(added)).rejects.toThrow('is no node of this cluster');
  });

  test('refuses what cannot be', async (context) => {
    const cluster = await start(context);
    const { owner, other } = await here(cluster, 'x');
    const [replica] = await cluster.replicasOf(other);
    await expect(cluster.nodeOf(16_384)).rejects.toThrow('A slot is a whole number from 0 to 16383, got 16384');
    await expect(cluster.startMovingSlot('x', owner)).rejects.toThrow('is at');
    await expect(cluster.moveSlot('x', replica as RedisServer)).rejects.toThrow('it is no running master');
  });
});

describe.concurrent('startCluster', () => {
  test('takes numbers, a password, ports and arguments', async (context) => {
    const port = await freePorts(3, freeNodePort, [0, BUS_OFFSET]);
    const options = { masters: 2, replicasPerMaster: 0, port, password: 'two "words"', args: ['--maxmemory', '7mb'] };
    const cluster = await start(context, options);
    expect(cluster.nodes.map((node) => node.port)).toEqual([port, port + 1]);
    expect(await cluster.nodes[1]?.cli('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '7340032']);
    const { owner, other } = await here(cluster, 'key');
    await owner.cli('SET', 'key', 'value');
    await cluster.moveSlot('key', other);
    expect(await other.cli('GET', 'key')).toBe('value');
    await expect(cluster.failover(owner)).rejects.toThrow('is a master without a running replica');
    const replica = await cluster.addNode({ replicaOf: other });
    expect(replica.port).toBe(port + 2);
    // A master with thousands of slots.
    await cluster.removeNode(owner);
    expect(await cluster.masters()).toEqual([other]);
    expect(await cluster.nodeOf(0)).toBe(other);
    await expect(cluster.removeNode(other)).rejects.toThrow('it is the last master');
  });

  testTls('with tls speaks nothing else, among the nodes too', async (context) => {
    const { ca, server: own } = await makeCertificates();
    const cluster = await start(context, { masters: 2, replicasPerMaster: 1, tls: { ...own, ca } });
    expect(await cluster.nodes[0]?.cli('CONFIG', 'GET', 'port')).toEqual(['port', '0']);
    const { owner, other } = await here(cluster, 'key');
    await owner.cli('SET', 'key', 'value');
    await cluster.moveSlot('key', other);
    expect(await other.cli('GET', 'key')).toBe('value');
  });

  test('stop leaves no process and no folder, whatever state they are in, and lets nothing come back', async (context) => {
    const cluster = await start(context, { masters: 3, replicasPerMaster: 0 });
    const [first, second] = cluster.nodes;
    const pids = cluster.nodes.map(({ pid }) => pid);
    const folder = dirname(dirname(String(first?.socketPath)));
    await first?.kill();
    await second?.freeze();
    await expect(cluster.nodeOf(0)).rejects.toMatchObject({ code: 'LAGOON_TESTING_NOT_RUNNING' });
    await Promise.all([cluster.stop(), cluster[Symbol.asyncDispose]()]);
    for (const pid of pids) expect(await isGone(pid)).toBe(true);
    expect(existsSync(folder)).toBe(false);
    await expect(first?.restart()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(cluster.addNode()).rejects.toThrow();
    expect(existsSync(folder)).toBe(false);
  });

  test('is not settled while slots are at no running node', async (context) => {
    const cluster = await start(context, { masters: 2, replicasPerMaster: 0 });
    const [first] = cluster.nodes;
    await first?.kill();
    let whole = false;
    const settled = cluster.settled().then(() => {
      whole = true;
    });
    await expect(eventually(() => whole, { timeout: 300 })).rejects.toThrow('Not so after 300 ms');
    await first?.restart();
    await settled;
    expect(await cluster.nodeOf(0)).toBe(first);
  });

  test('says which port is taken, be it that of a bus, and leaves nothing behind', async (context) => {
    const port = await freePorts(6, freeNodePort, [0, BUS_OFFSET]);
    const other = await startRedis({ port: port + BUS_OFFSET });
    context.onTestFinished(() => other.stop());
    const refused = startCluster({ port });
    await expect(refused).rejects.toMatchObject({ code: 'LAGOON_TESTING_PORT_IN_USE' });
    await expect(refused).rejects.toThrow(`Port ${port + BUS_OFFSET} of 127.0.0.1 is taken`);
  });

  test.each<[StartClusterOptions, string]>([
    [{ masters: 0 }, 'masters must be a whole number and at least 1, got 0'],
    [{ replicasPerMaster: 0.5 }, 'replicasPerMaster must be a whole number and at least 0, got 0.5'],
    [{ port: 55_531 }, 'port must be a whole number from 1 to 55530 (6 ports are taken from there on), got 55531'],
    [{ nodeTimeout: '0s' }, 'nodeTimeout must be a duration greater than 0'],
    [{ password: '' }, 'password must not be empty'],
  ])('refuses %j before it starts anything', async (options, message) => {
    const refused = startCluster(options);
    await expect(refused).rejects.toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(message);
  });
});
