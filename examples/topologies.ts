// One server, Sentinel, a cluster: the service is the same; only what is registered differs.
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, type RedisPool, Registry } from 'lagoon';
import { startCluster, startRedis, startSentinel } from 'lagoon/testing';

/** A piece of a service, which does not know what is behind its pool. */
async function order(redis: RedisPool, customer: string): Promise<string> {
  if (!(await redis.rateLimit(`orders:${customer}`, '1m', 2))) return 'too many orders';
  // One order of a customer at a time, in all processes.
  return redis.getLocker().run(`customer:${customer}`, { ttl: '10s', waitTimeout: '5s' }, () => take(redis, customer));
}

async function take(redis: RedisPool, customer: string): Promise<string> {
  // What belongs together shares the part in braces, and so its place in a cluster; elsewhere the braces mean nothing.
  const stock = `{shop}:stock`;
  const orders = `{shop}:orders`;
  const [left] = await redis.transaction(
    async (own) => {
      if (Number(await own.get(stock)) < 1) throw new Error('sold out');
      return own.multi().decr(stock).rPush(orders, customer).exec();
    },
    { watch: stock },
  );

  await redis.publish('orders', customer);
  return `ordered, ${left} left`;
}

async function visit(name: string, registry: Registry<'default'>): Promise<void> {
  await using engine = registry.validate();
  const redis = engine.getRedis();
  const heard: string[] = [];
  await redis.subscribe('orders', (customer) => heard.push(customer));

  await redis.set('{shop}:stock', '5');
  for (const customer of ['ann', 'bob', 'ann', 'ann'])
    console.log(`${name}: ${customer} ${await order(redis, customer)}`);

  while (heard.length < 3) await sleep(5);
  const seen = await redis.getCache({ prefix: 'seen', ttl: '1m' }).getOrSet('count', () => redis.lLen('{shop}:orders'));
  const { default: health } = await engine.health();
  console.log(
    `${name}: ${seen} orders, heard of ${heard.join(', ')}; ${health.status} on ${health.nodes.length} master(s)`,
  );
}

await using server = await startRedis();
await visit('one server', new Registry().registerRedis(server.address));

await using group = await startSentinel();
await visit('sentinel', new Registry().registerRedisSentinel(group.name, group.sentinels));

await using cluster = await startCluster();
await visit('cluster', new Registry().registerRedisCluster(cluster.addresses));

// What a failover looks like from here: the master is killed, and the same pool goes on with its successor.
await using engine = new Registry().registerRedisSentinel(group.name, group.sentinels).validate();
const redis = engine.getRedis();
await redis.set('survives', 'yes');
const master = await group.master();
await redis.isolated((own) => own.set('survives', 'confirmed by a replica').then(() => own.wait(1, 1_000)));
await master.kill();
// Until the sentinels have agreed on another master, commands wait, at most for their timeout. One that was in flight when
// the connection broke fails, as nobody knows whether it was executed; to read again does no harm.
const patient = redis.withTimeout('20s');
const value = await patient.get('survives').catch((error: unknown) => {
  if (error instanceof ConnectionError) return patient.get('survives');
  throw error;
});
console.log('after the failover:', value);
