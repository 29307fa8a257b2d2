import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, type FaultyProxy, startProxy, useRedis } from './redis.js';

describe('startProxy', () => {
  const redis = useRedis();
  let proxy: FaultyProxy;
  beforeEach(async () => {
    proxy = await startProxy(redis().address);
  });
  afterEach(() => proxy.stop());

  /** A connection through the proxy, and all that has come back on it. */
  async function dial(): Promise<{ socket: Socket; received: () => string }> {
    const socket = connect(proxy.port, proxy.host);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('error', () => {});
    await once(socket, 'connect');
    return { socket, received: () => received };
  }

  test('passes everything on, in order, and counts connections', async () => {
    const { socket, received } = await dial();
    socket.write('ECHO one\r\nECHO two\r\n');
    await eventually(() => received() === '$3\r\none\r\n$3\r\ntwo\r\n');
    expect(proxy.accepted).toBe(1);
    expect(proxy.open).toBe(1);
    socket.destroy();
    await eventually(() => proxy.open === 0);
  });

  test('cutAll ends every connection and takes new ones', async () => {
    const { socket } = await dial();
    await eventually(() => proxy.open === 1);
    proxy.cutAll();
    await once(socket, 'close');
    const next = await dial();
    next.socket.write('PING\r\n');
    await eventually(() => next.received() === '+PONG\r\n');
    expect(proxy.accepted).toBe(2);
  });

  test('a blackhole takes connections and answers nothing until it ends', async () => {
    const old = await dial();
    await eventually(() => proxy.open === 1);
    proxy.blackhole(true);
    const fresh = await dial();
    for (const { socket } of [old, fresh]) socket.write('PING\r\n');
    await sleep(100); // nothing can be waited for where nothing is to happen
    expect([old.received(), fresh.received()]).toEqual(['', '']);
    proxy.blackhole(false);
    await eventually(() => old.received() === '+PONG\r\n' && fresh.received() === '+PONG\r\n');
  });

  test('delay holds back, and what is held back is not overtaken when it ends', async () => {
    const { socket, received } = await dial();
    proxy.delay(100, 50);
    const before = performance.now();
    socket.write('ECHO one\r\n');
    await sleep(10);
    proxy.delay(0);
    socket.write('ECHO two\r\n');
    await eventually(() => received() === '$3\r\none\r\n$3\r\ntwo\r\n');
    expect(performance.now() - before).toBeGreaterThanOrEqual(99);
  });

  test('truncate drops the connection in the middle of a reply', async () => {
    const { socket, received } = await dial();
    proxy.truncate(6);
    socket.write('ECHO abcdef\r\n');
    await once(socket, 'close');
    expect(received()).toBe('$6\r\nab');
    const next = await dial();
    next.socket.write('PING\r\n');
    await eventually(() => next.received() === '+PONG\r\n');
  });
});
