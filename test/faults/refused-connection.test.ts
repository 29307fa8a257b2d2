import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { ConnectError } from '../../src/index.js';
import { startRedis } from '../../src/testing/index.js';
import { engineOn, failure, timed } from '../support/engine.js';
import { eventually, freePort, useRedis } from '../support/redis.js';
import { makeCertificates } from '../support/tls.js';

const SECRET = 's3cret-and-more';

describe('a server that refuses', () => {
  const server = useRedis({ password: SECRET, databases: 4 });

  test('a wrong password fails connect() at once, with the reason and without the password', async () => {
    const engine = engineOn(server().address, { password: `wrong-${SECRET}` });
    const error = await failure(engine.connect({ timeout: '20s' }));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error?.message).toContain('WRONGPASS');
    expect(error?.message).not.toContain(SECRET);
  });

  test('a database out of range fails connect() at once, with the reason', async () => {
    const engine = engineOn(server().address, { password: SECRET }, 4);
    const error = await failure(engine.connect({ timeout: '20s' }));
    expect(error?.message).toContain('DB index is out of range');
  });

  test('a command fails at once too, and works once the reason is gone', async () => {
    const redis = engineOn(server().address, { username: 'later', password: SECRET }).getRedis();
    const error = await failure(redis.ping());
    expect(error).toMatchObject({ code: 'LAGOON_CONNECTION', mayHaveBeenExecuted: false });
    await server().cli('ACL', 'SETUSER', 'later', 'on', `>${SECRET}`, '+@all', '~*', '&*');
    expect(await redis.ping()).toBe('PONG');
  });

  test('a lease is refused at once as well, not after its timeout', async () => {
    const redis = engineOn(server().address, { password: 'wrong', pool: { acquireTimeout: '20s' } }).getRedis();
    expect(await timed(redis.isolated((own) => own.ping()))).toBeLessThan(5_000);
  });

  test('out of clients: an error that says so, and recovery when there is room again', async () => {
    const redis = engineOn(server().address, { password: SECRET, commandTimeout: 300 }).getRedis();
    const before = await server().cli('CONFIG', 'GET', 'maxclients');
    await server().cli('CONFIG', 'SET', 'maxclients', '1');
    const filler = engineOn(server().address, { password: SECRET });
    try {
      await filler.connect().catch(() => undefined);
      const error = await failure(engineOn(server().address, { password: SECRET }).connect());
      expect(error?.message).toContain('max number of clients');
    } finally {
      await filler.close();
      await eventually(() => server().cli('CONFIG', 'SET', 'maxclients', String((before as string[])[1])));
    }
    await eventually(() => redis.ping());
  });
});

describe('no server', () => {
  test('connect() fails at the first attempt, or keeps trying for as long as it was told', async () => {
    const port = await freePort();
    const engine = engineOn(`127.0.0.1:${port}`);
    expect(await failure(engine.connect())).toMatchObject({ code: 'LAGOON_CONNECT' });
    const waiting = engine.connect({ timeout: '20s' });
    const server = await startRedis({ port });
    try {
      await waiting;
      expect(await engine.getRedis().ping()).toBe('PONG');
    } finally {
      await server.stop();
    }
  });

  test('connect() lists every pool that failed; its signal ends the wait', async () => {
    const port = await freePort();
    const engine = engineOn(`127.0.0.1:${port}`);
    const abort = new AbortController();
    const waiting = failure(engine.connect({ timeout: '20s', signal: abort.signal }));
    abort.abort(new Error('shutting down'));
    const error = (await waiting) as unknown as ConnectError;
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.failures.map(({ pool }) => pool)).toEqual(['default']);
  });

  test('a lease waits for its acquireTimeout and then names the reason', async () => {
    const redis = engineOn(`127.0.0.1:${await freePort()}`, { pool: { acquireTimeout: 300 } }).getRedis();
    const error = await failure(redis.isolated((own) => own.ping()));
    expect(error).toMatchObject({ code: 'LAGOON_ACQUIRE_TIMEOUT' });
    expect(error?.message).toContain('ECONNREFUSED');
  });

  test('attempts back off: a server that stays away is not hammered', async () => {
    const redis = engineOn(`127.0.0.1:${await freePort()}`, {
      commandTimeout: 1_000,
      reconnect: { minDelay: 50, maxDelay: 200 },
    });
    let attempts = 0;
    const count = () => {
      attempts++;
    };
    subscribe('net.client.socket', count);
    await failure(redis.getRedis().ping());
    unsubscribe('net.client.socket', count);
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThan(30);
  });
});

describe('TLS and unix sockets', () => {
  test('TLS: a trusted certificate connects, an unknown authority fails at once with the reason', async () => {
    const certificates = await makeCertificates();
    const server = await startRedis({ tls: { ca: certificates.ca, ...certificates.server } });
    try {
      const trusted = engineOn(`127.0.0.1:${server.port}`, { tls: { ca: certificates.ca, ...certificates.client } });
      expect(await trusted.getRedis().ping()).toBe('PONG');
      const untrusting = engineOn(`127.0.0.1:${server.port}`, { tls: true });
      const error = await failure(untrusting.connect({ timeout: '20s' }));
      expect(error?.message).toMatch(/certificate/i);
    } finally {
      await server.stop();
    }
  });

  test('a unix socket', async () => {
    const server = await startRedis({ unixSocket: true });
    try {
      expect(await engineOn(server.socketPath).getRedis().ping()).toBe('PONG');
    } finally {
      await server.stop();
    }
  });
});
