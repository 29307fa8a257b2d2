import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createClient } from 'redis';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { type RedisServer, type StartRedisOptions, startRedis } from '../../src/testing/index.js';
import { isGone, isStopped } from '../../src/testing/process-state.js';
import { ServerProcess } from '../../src/testing/server-process.js';
import { eventually } from '../support/redis.js';
import { makeCertificates, testTls } from '../support/tls.js';

vi.mock('../../src/testing/free-port.js', { spy: true });

const servers: RedisServer[] = [];

async function start(options?: StartRedisOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  vi.clearAllMocks();
});

/** What a command gives over the address that the server names, by an ordinary client. */
async function ask(url: string, ...command: string[]): Promise<unknown> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  try {
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

/** Whether the server takes a connection and answers within `ms`. */
async function answers(server: RedisServer, ms: number): Promise<boolean> {
  const socket = connect(server.port, server.host);
  try {
    return await new Promise((resolve) => {
      socket.on('data', () => resolve(true)).on('error', () => resolve(false));
      socket.write('PING\r\n');
      setTimeout(resolve, ms, false);
    });
  } finally {
    socket.destroy();
  }
}

describe('startRedis', () => {
  test('gives a server that answers at its url and address', async () => {
    const server = await start();
    expect(server.address).toBe(`127.0.0.1:${server.port}`);
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`);
    expect(await ask(server.url, 'PING')).toBe('PONG');
    expect(String(await server.cli('INFO', 'server'))).toContain(`process_id:${server.pid}\r\n`);
  });

  test('two servers at once know nothing of each other', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    await one.cli('SET', 'key', 'one');
    expect(await other.cli('GET', 'key')).toBeNull();
    expect(one.port).not.toBe(other.port);
    await one.stop();
    expect(await other.cli('PING')).toBe('PONG');
  });

  test('takes another port when the one it chose is taken meanwhile', async () => {
    const other = await start();
    vi.mocked(freePort).mockClear().mockResolvedValueOnce(other.port).mockResolvedValueOnce(other.port);
    const server = await start();
    expect(freePort).toHaveBeenCalledTimes(3);
    expect(server.port).not.toBe(other.port);
    expect(await ask(server.url, 'INFO', 'server')).toContain(`process_id:${server.pid}\r\n`);
  });

  test('says so when the port that was asked for is taken, and leaves nothing behind', async () => {
    const other = await start();
    const refused = startRedis({ port: other.port });
    await expect(refused).rejects.toMatchObject({ code: 'LAGOON_TESTING_PORT_IN_USE' });
    await expect(refused).rejects.toThrow(`Port ${other.port} of 127.0.0.1 is taken`);
    expect(await other.cli('PING')).toBe('PONG');
  });

  test('with a password lets in only who knows it', async () => {
    const password = 'p "q" \\ é @/:';
    const server = await start({ password });
    await expect(ask(`redis://${server.address}`, 'PING')).rejects.toThrow('NOAUTH');
    expect(await ask(server.url, 'PING')).toBe('PONG');
    expect(await server.cli('PING')).toBe('PONG');
  });

  test('with unixSocket listens on the socket and on no port', async () => {
    const server = await start({ unixSocket: true });
    expect(server.port).toBe(0);
    expect(server.address).toBe(server.socketPath);
    expect(server.url).toBe(`unix://${server.socketPath}`);
    const client = createClient({ socket: { path: server.address, tls: false } });
    await client.connect();
    expect(await client.configGet('port')).toEqual({ port: '0' });
    client.destroy();
  });

  testTls('with tls speaks TLS only, and can insist on client certificates', async () => {
    const { ca, server: own, client: known } = await makeCertificates();
    const server = await start({ tls: { ...own, ca, requireClientCertificate: true } });
    expect(server.url).toBe(`rediss://127.0.0.1:${server.port}`);
    const connectWith = async (options: object) => {
      const client = createClient({ url: server.url, socket: { tls: true, ca, reconnectStrategy: false, ...options } });
      client.on('error', () => {});
      try {
        await client.connect();
        return await client.ping();
      } finally {
        client.destroy();
      }
    };
    expect(await connectWith(known)).toBe('PONG');
    await expect(connectWith({})).rejects.toThrow();
    await expect(ask(`redis://${server.address}`, 'PING')).rejects.toThrow();
    expect(await server.cli('PING')).toBe('PONG');
  });

  test('passes databases and further arguments on, which win over the defaults', async () => {
    const server = await start({ databases: 3, args: ['--maxmemory', '5mb', '--save', '60 1'] });
    expect(await server.cli('CONFIG', 'GET', 'databases')).toEqual(['databases', '3']);
    expect(await server.cli('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '5242880']);
    expect(await server.cli('CONFIG', 'GET', 'save')).toEqual(['save', '60 1']);
  });

  test('shows the end of the log of a server that does not come up', async () => {
    const failing = startRedis({ args: ['--no-such-setting', '1'] });
    await expect(failing).rejects.toMatchObject({ code: 'LAGOON_TESTING_START' });
    await expect(failing).rejects.toThrow(/ended with code 1 before it answered.*no-such-setting/s);
  });

  test('says why no process could be started, and fails nothing else', async () => {
    const nowhere = { directory: '/no/such/folder', tempFolder: '/no/such/folder' };
    let error: Error | undefined;
    try {
      new ServerProcess({ binary: 'redis-server', args: [], logFile: '/dev/null', ...nowhere });
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(error).toMatchObject({ code: 'LAGOON_TESTING_START' });
    await eventually(() => expect(error?.cause).toMatchObject({ code: 'ENOENT' }));
  });

  test('refuses what cannot be, before it starts anything', async () => {
    await expect(startRedis({ port: 70_000 })).rejects.toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    await expect(startRedis({ password: '' })).rejects.toMatchObject({ code: 'LAGOON_INVALID_ARGUMENT' });
    await expect(startRedis({ binary: '/no/redis-server' })).rejects.toThrow('binary is "/no/redis-server"');
  });

  test('an abort ends the start, and later the server', async () => {
    await expect(startRedis({ signal: AbortSignal.abort('enough') })).rejects.toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
    const controller = new AbortController();
    const starting = startRedis({ signal: controller.signal });
    controller.abort();
    await expect(starting).rejects.toMatchObject({ code: 'ABORT_ERR' });

    const later = new AbortController();
    const server = await start({ signal: later.signal });
    const { pid } = server;
    later.abort();
    await eventually(() => isGone(pid));
    await eventually(() => !existsSync(dirname(server.socketPath)));
    await expect(server.restart()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(server.running).toBe(false);
  });
});

describe('a running server', () => {
  test('stop ends it and removes its folder, however often it is called', async () => {
    const server = await start();
    const { pid } = server;
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    expect(await isGone(pid)).toBe(true);
    expect(server.running).toBe(false);
    expect(existsSync(dirname(server.socketPath))).toBe(false);
    expect(() => server.pid).toThrow('does not run; restart()');
    await expect(server.cli('PING')).rejects.toMatchObject({ code: 'LAGOON_TESTING_NOT_RUNNING' });
    await expect(server.freeze()).rejects.toMatchObject({ code: 'LAGOON_TESTING_NOT_RUNNING' });
  });

  test('stop ends a frozen one', async () => {
    const server = await start();
    const { pid } = server;
    await server.freeze();
    await server.stop();
    expect(await isGone(pid)).toBe(true);
  });

  test('await using stops it', async () => {
    const server = await start();
    const { pid } = server;
    await server[Symbol.asyncDispose]();
    expect(await isGone(pid)).toBe(true);
  });

  test('kill leaves it no time to say goodbye', async () => {
    const server = await start({ args: ['--save', '60 1000'] });
    const { pid } = server;
    await server.cli('SET', 'key', 'unsaved');
    await server.kill();
    expect(await isGone(pid)).toBe(true);
    expect(server.running).toBe(false);
    expect(await answers(server, 1_000)).toBe(false);
    await server.restart();
    expect(await server.cli('GET', 'key')).toBeNull();
  });

  test('restart brings it back on the same port with its data, be it killed or running', async () => {
    const server = await start({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const { port, pid } = server;
    await server.cli('SET', 'key', 'kept');
    await server.kill();
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await ask(server.url, 'GET', 'key')).toBe('kept');
    await server.restart();
    expect(server.port).toBe(port);
    expect(await ask(server.url, 'GET', 'key')).toBe('kept');
  });

  test('restart after stop gives an empty server on the same port', async () => {
    const server = await start({ args: ['--appendonly', 'yes'] });
    const { port } = server;
    await server.cli('SET', 'key', 'gone');
    await server.stop();
    await server.restart();
    expect(server.port).toBe(port);
    expect(await ask(server.url, 'GET', 'key')).toBeNull();
  });

  test('freeze stops it answering at once, thaw lets it go on', async () => {
    const server = await start();
    await server.freeze();
    expect(await isStopped(server.pid)).toBe(true);
    expect(await answers(server, 100)).toBe(false);
    expect(server.running).toBe(true);
    await server.thaw();
    expect(await isStopped(server.pid)).toBe(false);
    expect(await answers(server, 5_000)).toBe(true);
  });

  test('cli gives replies of every kind, and throws those that are errors', async () => {
    const server = await start();
    expect(await server.cli('SET', 'key', 'é\r\n')).toBe('OK');
    expect(await server.cli('GET', 'key')).toBe('é\r\n');
    expect(await server.cli('MGET', 'key', 'none')).toEqual(['é\r\n', null]);
    expect(await server.cli('STRLEN', 'key')).toBe(4);
    expect(await server.cli('LRANGE', 'none', '0', '-1')).toEqual([]);
    const big = 'x'.repeat(3_000_000);
    await server.cli('SET', 'big', big);
    expect(await server.cli('GET', 'big')).toBe(big);
    await expect(server.cli('LPUSH', 'key', '1')).rejects.toMatchObject({
      code: 'LAGOON_REPLY',
      replyCode: 'WRONGTYPE',
    });
  });
});
