import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { createSentinel } from 'redis';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import {
  type RedisServer,
  type SentinelGroup,
  type StartSentinelOptions,
  startRedis,
  startSentinel,
} from '../../src/testing/index.js';
import { isGone } from '../../src/testing/process-state.js';
import { eventually } from '../support/redis.js';
import { makeCertificates, testTls } from '../support/tls.js';
import { freePorts } from './free-ports.js';

async function start({ onTestFinished }: TestContext, options?: StartSentinelOptions): Promise<SentinelGroup> {
  const group = await startSentinel(options);
  onTestFinished(() => group.stop());
  return group;
}

async function role(server: RedisServer): Promise<unknown> {
  const reply = await server.cli('ROLE');
  return Array.isArray(reply) ? reply[0] : reply;
}

/** What every sentinel gives as the address of the master. */
async function masterPorts(group: SentinelGroup): Promise<unknown[]> {
  const ask = async (sentinel: RedisServer) => sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', group.name);
  return (await Promise.all(group.sentinelServers.map(ask))).map((address) => (address as string[])[1]);
}

// Each with a group of its own. At the same time, as most of it is waiting for the sentinels to agree.
describe.concurrent('a Sentinel group', () => {
  test('has a master that takes writes, replicas that have them, and sentinels that agree on a failover', async (context) => {
    const group = await start(context);
    const master = await group.master();
    const replicas = await group.replicas();
    expect(group.name).toBe('mymaster');
    expect(group.servers).toHaveLength(3);
    expect(group.sentinels).toEqual(group.sentinelServers.map(({ port }) => `127.0.0.1:${port}`));
    expect(new Set([master, ...replicas])).toEqual(new Set(group.servers));
    expect(await Promise.all([master, ...replicas].map(role))).toEqual(['master', 'slave', 'slave']);
    await master.cli('SET', 'key', 'value');
    for (const replica of replicas) await eventually(async () => (await replica.cli('GET', 'key')) === 'value');
    for (const sentinel of group.sentinelServers) {
      expect(await sentinel.cli('SENTINEL', 'CKQUORUM', 'mymaster')).toMatch(/^OK 3 usable Sentinels/);
      expect(await sentinel.cli('SENTINEL', 'REPLICAS', 'mymaster')).toHaveLength(2);
    }
  });

  test('is found by a client that knows only the sentinels', async (context) => {
    const group = await start(context);
    const sentinelRootNodes = group.sentinelServers.map(({ host, port }) => ({ host, port }));
    const client = await createSentinel({ name: group.name, sentinelRootNodes }).connect();
    context.onTestFinished(() => client.destroy());
    await client.set('from', 'a client');
    expect(await (await group.master()).cli('GET', 'from')).toBe('a client');
  });

  test('failover gives a new master that all know and that takes writes at once, and again', async (context) => {
    const group = await start(context);
    for (let turn = 1; turn <= 2; turn++) {
      const before = await group.master();
      const after = await group.failover();
      expect(after).not.toBe(before);
      expect(await group.master()).toBe(after);
      expect(await after.cli('SET', 'turn', String(turn))).toBe('OK');
      expect(new Set(await masterPorts(group))).toEqual(new Set([String(after.port)]));
      expect(await role(before)).toBe('slave');
      expect(await group.replicas()).toHaveLength(2);
    }
  });

  test('fails over by itself when the master is killed, and takes it back as a replica', async (context) => {
    const group = await start(context);
    const before = await group.master();
    await before.kill();
    await group.settled();
    const after = await group.master();
    expect(after).not.toBe(before);
    expect(await after.cli('SET', 'after', 'kill')).toBe('OK');
    expect(await group.replicas()).not.toContain(before);
    await before.restart();
    await group.settled();
    expect(await group.replicas()).toContain(before);
    expect(await before.cli('GET', 'after')).toBe('kill');
  });

  test('fails over by itself when the master is frozen', async (context) => {
    const group = await start(context);
    const before = await group.master();
    await before.freeze();
    await group.settled();
    expect(await group.master()).not.toBe(before);
    await before.thaw();
    await group.settled();
    expect(await role(before)).toBe('slave');
  });

  test('a sentinel and a replica that restart still know their master, whichever it is by now', async (context) => {
    const group = await start(context);
    const master = await group.failover();
    const [sentinel] = group.sentinelServers;
    const [replica] = await group.replicas();
    await Promise.all([sentinel?.kill(), replica?.kill()]);
    // While the other replica is the only one left to say so.
    expect(await group.replicas()).not.toContain(replica);
    await Promise.all([sentinel?.restart(), replica?.restart()]);
    expect(await role(replica as RedisServer)).toBe('slave'); // by itself: a sentinel would need longer to tell it
    await group.settled();
    expect(new Set(await masterPorts(group))).toEqual(new Set([String(master.port)]));
    expect(await group.replicas()).toContain(replica);
  });
});

describe.concurrent('startSentinel', () => {
  test('takes names, numbers, passwords, ports and arguments', async (context) => {
    const port = await freePorts(2, freePort);
    const sentinelPort = await freePort();
    const passwords = { password: 's3cret-é', sentinelPassword: 'other' };
    const args = ['--maxmemory', '7mb'];
    const group = await start(context, {
      name: 'orders',
      replicas: 1,
      sentinels: 1,
      port,
      sentinelPort,
      args,
      ...passwords,
    });
    expect(group.servers.map((server) => server.port)).toEqual([port, port + 1]);
    expect(group.sentinels).toEqual([`127.0.0.1:${sentinelPort}`]);
    expect(group.name).toBe('orders');
    expect(await group.servers[1]?.cli('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '7340032']);
    expect(group.sentinelServers[0]?.url).toBe(`redis://:other@127.0.0.1:${sentinelPort}`);
    const before = await group.master();
    await group.sentinelServers[0]?.restart();
    expect(await group.failover()).not.toBe(before);
  });

  testTls('with tls speaks nothing else, among the servers too', async (context) => {
    const { ca, server: own } = await makeCertificates();
    const group = await start(context, { replicas: 1, sentinels: 2, tls: { ...own, ca } });
    expect(await (await group.master()).cli('CONFIG', 'GET', 'port')).toEqual(['port', '0']);
    expect(await group.failover()).toBe(await group.master());
  });

  test('stop leaves no process and no folder, whatever state they are in, and lets nothing come back', async (context) => {
    const group = await start(context);
    const all = [...group.servers, ...group.sentinelServers];
    const pids = all.map(({ pid }) => pid);
    const folder = dirname(dirname(String(all[0]?.socketPath)));
    await group.servers[0]?.kill();
    await group.servers[1]?.freeze();
    await group.sentinelServers[0]?.freeze();
    await Promise.all([group.stop(), group[Symbol.asyncDispose]()]);
    for (const pid of pids) expect(await isGone(pid)).toBe(true);
    expect(existsSync(folder)).toBe(false);
    await expect(group.servers[0]?.restart()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await expect(group.settled()).rejects.toMatchObject({ code: 'LAGOON_TESTING_NOT_RUNNING' });
    await expect(group.master()).rejects.toThrow('No sentinel of the group runs');
    expect(existsSync(folder)).toBe(false);
  });

  test('an abort ends the start, and later the group', async (context) => {
    const controller = new AbortController();
    const starting = startSentinel({ signal: controller.signal });
    controller.abort('enough');
    await expect(starting).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });

    const later = new AbortController();
    const group = await start(context, { replicas: 0, sentinels: 1, signal: later.signal });
    const folder = dirname(dirname(String(group.servers[0]?.socketPath)));
    later.abort();
    await eventually(() => !existsSync(folder));
    expect([...group.servers, ...group.sentinelServers].some(({ running }) => running)).toBe(false);
  });

  test('says which port is taken, or what a server has against its arguments, and leaves nothing behind', async (context) => {
    const other = await startRedis();
    context.onTestFinished(() => other.stop());
    const refused = startSentinel({ sentinels: 1, sentinelPort: other.port });
    await expect(refused).rejects.toMatchObject({ code: 'LAGOON_TESTING_PORT_IN_USE' });
    await expect(refused).rejects.toThrow(`Port ${other.port} of 127.0.0.1 is taken`);
    await expect(startSentinel({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/no-such-setting/);
  });

  test.each<[StartSentinelOptions, string]>([
    [{ replicas: -1 }, 'replicas must be a whole number and at least 0, got -1'],
    [{ sentinels: 0 }, 'sentinels must be a whole number and at least 1, got 0'],
    [{ quorum: 4 }, 'quorum is 4, but there are 3 sentinels'],
    [{ name: 'my master' }, 'name must consist of letters, digits and . - _, got "my master"'],
    [{ downAfter: 0 }, 'downAfter must be a duration greater than 0'],
    [{ port: 65_534 }, 'port must be a whole number from 1 to 65533 (3 ports are taken from there on), got 65534'],
    [{ sentinelPassword: 'two words' }, 'sentinelPassword must hold no white space'],
    [{ tls: { cert: 'a', key: 'b', ca: '' } }, 'tls needs ca'],
  ])('refuses %j before it starts anything', async (options, message) => {
    const refused = startSentinel(options);
    await expect(refused).rejects.toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(message);
  });
});
