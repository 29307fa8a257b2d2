import { expect, test } from 'vitest';
import { resolvePool } from '../../../src/config/resolve.js';
import { discover } from '../../../src/pool/cluster/discovery.js';
import { failure } from '../../support/engine.js';
import { freePort } from '../../support/redis.js';

test('asking who has which slot makes no classes anew: they cost more than all the rest of it', async () => {
  const ports = [await freePort(), await freePort()];
  const ask = async () => {
    const nodes = ports.map((port) => ({ host: '127.0.0.1', port }));
    const pool = resolvePool('default', { cluster: nodes.map(({ port }) => `127.0.0.1:${port}`) });
    expect((await failure(discover(pool, nodes, new AbortController().signal)))?.message).toContain('ECONNREFUSED');
  };
  await ask();
  const before = process.cpuUsage();
  for (let i = 0; i < 10; i++) await ask();
  const { user, system } = process.cpuUsage(before);
  // 20 clients; 50 ms each if they had classes of their own.
  expect((user + system) / 1000).toBeLessThan(400);
});
