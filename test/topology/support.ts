import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, type TestContext } from 'vitest';
import { isUnavailable } from '../../src/errors.js';
import { type Engine, type PoolOptions, type RedisPool, Registry } from '../../src/index.js';
import {
  type RedisCluster,
  type SentinelGroup,
  type StartClusterOptions,
  type StartSentinelOptions,
  startCluster,
  startSentinel,
} from '../../src/testing/index.js';

const engines: Engine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close({ timeout: 0 })));
});

/** The engine of a registry; closed after the test. */
export function engineOf(registry: Registry<'default'>): Engine<'default'> {
  const engine = registry.validate();
  engines.push(engine as Engine);
  return engine;
}

/** A cluster of one test, which may run beside others, and engines on it; gone after the test. */
export async function ownCluster(context: TestContext, options: StartClusterOptions = {}) {
  const cluster = await startCluster(options);
  const seeds = cluster.addresses.slice(0, 2);
  const open = owned(context, cluster, (pool) => new Registry().registerRedisCluster(seeds, 'default', pool));
  return { cluster, open };
}

/** A Sentinel group of one test, which may run beside others, and engines on it; gone after the test. */
export async function ownGroup(context: TestContext, options: StartSentinelOptions = {}) {
  const group = await startSentinel(options);
  const { name } = group;
  const open = owned(context, group, (pool, sentinels = group.sentinels) =>
    new Registry().registerRedisSentinel(name, sentinels, 0, 'default', pool),
  );
  return { group, open };
}

function owned(
  { onTestFinished }: TestContext,
  servers: RedisCluster | SentinelGroup,
  register: (options: PoolOptions, nodes?: string[]) => Registry<'default'>,
): (options?: PoolOptions, nodes?: string[]) => Engine<'default'> {
  const own: Engine<'default'>[] = [];
  onTestFinished(async () => {
    await Promise.all(own.map((engine) => engine.close({ timeout: 0 })));
    await servers.stop();
  });
  return (options = {}, nodes) => {
    const engine = register(options, nodes).validate();
    own.push(engine);
    return engine;
  };
}

/** Callers that write, from now until `stop()`. */
export interface Load {
  /** Writes that were confirmed, of the key `load:<caller>`: each adds one. */
  readonly confirmed: readonly number[];
  /** When a write was confirmed last, on the clock of `performance.now()`. */
  readonly lastAt: number;
  /** Writes that failed. */
  readonly failed: number;
  /** What writes failed with that nobody may expect during a failover. */
  readonly unexpected: readonly Error[];
  stop(): Promise<void>;
}

/** So many writes of a caller follow each other without a pause: some are always on their way, and other tests get their turn. */
const BURST = 10;

/** Starts `callers` loops that write to keys of their own. */
export function startLoad(redis: RedisPool, callers = 20): Load {
  const confirmed = new Array<number>(callers).fill(0);
  const unexpected: Error[] = [];
  let lastAt = 0;
  let failed = 0;
  let stopped = false;
  const loops = confirmed.map(async (_, caller) => {
    while (!stopped) {
      try {
        await redis.incr(`load:${caller}`);
        confirmed[caller] = (confirmed[caller] ?? 0) + 1;
        lastAt = performance.now();
        if ((confirmed[caller] ?? 0) % BURST === 0) await sleep(1);
      } catch (error) {
        failed++;
        if (!isFailover(error)) unexpected.push(error as Error);
        await sleep(2);
      }
    }
  });
  return {
    confirmed,
    unexpected,
    get failed() {
      return failed;
    },
    get lastAt() {
      return lastAt;
    },
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

/** What a command may fail with while there is no master, or one that is just being demoted. */
export function isFailover(error: unknown): boolean {
  return isUnavailable(error) || /^(READONLY|UNBLOCKED)/.test((error as Error).message);
}

/** The rejections that nobody handled while `work` ran. */
export async function unhandledDuring(work: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const record = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', record);
  try {
    await work();
    // A rejection counts as unhandled only once the turn in which it happened is over.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', record);
  }
  return unhandled;
}
