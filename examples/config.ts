// How pools are configured: in code, as data, in a file; and what a mistake looks like. Opens no connection.
import { ConfigError, Registry } from 'lagoon';

// In code. validate() checks everything at once and knows the names from here on.
const engine = new Registry()
  .registerRedis('localhost:6379')
  .registerRedis('redis://app:s3cret@redis.internal:6380/3', undefined, 'orders', { pool: { max: 20, lanes: 2 } })
  .registerRedis('/run/redis.sock:1', undefined, 'local')
  .validate();
console.log('in code:', engine.codes);

// What a pool was told, defaults filled in, durations in ms, secrets hidden.
console.log(engine.getRedis('orders').getPoolConfig());
await engine.close();

// As data.
const data = Registry.fromConfig({
  pools: {
    default: 'localhost:6379:0',
    test: { address: 'localhost:6379', database: 3, commandTimeout: '1s' },
  },
}).validate();
console.log('as data:', data.codes);
await data.close();

// In a file, with what differs from place to place taken from the environment. YAML needs the package `yaml`.
process.env.SESSIONS_PW = 's3cret';
for (const name of ['config.json', 'config.yaml']) {
  const fromFile = Registry.fromFile(new URL(name, import.meta.url)).validate();
  const { address, database, password } = fromFile.getRedis('sessions').getPoolConfig();
  console.log(`${name}:`, fromFile.codes, { address, database, password });
  await fromFile.close();
}

// With mistakes: one error lists them all.
try {
  new Registry()
    .registerRedis('localhost:99999')
    .registerRedis('redis://app:s3cret@localhost/three', undefined, 'orders')
    // @ts-expect-error The compiler finds the misspelt name too.
    .registerRedis('localhost', -1, 'test', { comandTimeout: '1s' })
    .registerRedis('localhost', 0, 'test', { connectTimeout: 0, pool: { max: 1 } })
    .validate();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.log(error.message);
}
