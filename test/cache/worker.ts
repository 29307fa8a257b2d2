/* The process behind `startWorker`: a cache that does as its parent says. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type CacheOptions, type CacheStats, type GetOrSetOptions, Registry } from '../../src/index.js';

export type WorkerRequest =
  | {
      do: 'getOrSet';
      key: string;
      callers: number;
      load: { value?: unknown; error?: string; ms: number };
      options: GetOrSetOptions;
    }
  | { do: 'get'; key: string }
  | { do: 'put'; key: string; value: string; options?: { ttl?: number; tags?: string[] } }
  | { do: 'removeByTag'; tag: string }
  | { do: 'stats' };

export interface WorkerReply {
  /** Of `get`; each that there was, of `getOrSet`. */
  values?: unknown[];
  errors?: string[];
  /** Loaders that ran for a request of `getOrSet`, and when its last caller had its answer (ms since the epoch). */
  loads?: number;
  at?: number;
  stats?: CacheStats;
  error?: string;
}

const [address = '', options = '{}'] = process.argv.slice(2);
const cache = new Registry()
  .registerRedis(address)
  .validate()
  .getRedis()
  .getCache(JSON.parse(options) as CacheOptions);

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  switch (request.do) {
    case 'get': {
      const value = await cache.get(request.key);
      return { values: value === undefined ? [] : [value] };
    }
    case 'put':
      await cache.put(request.key, request.value, request.options);
      return {};
    case 'removeByTag':
      await cache.removeByTag(request.tag);
      return {};
    case 'stats':
      return { stats: cache.stats() };
    case 'getOrSet':
      return getOrSet(request);
  }
}

async function getOrSet({ key, callers, load, options }: WorkerRequest & { do: 'getOrSet' }): Promise<WorkerReply> {
  let loads = 0;
  const loader = async () => {
    loads++;
    process.send?.({ loading: key });
    await sleep(load.ms);
    if (load.error !== undefined) throw new Error(load.error);
    return load.value;
  };
  const calls = Array.from({ length: callers }, () => cache.getOrSet(key, loader, options));
  const outcomes = await Promise.allSettled(calls);
  const values = new Set(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])));
  const errors = new Set(
    outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : [])),
  );
  return { values: [...values], errors: [...errors], loads, at: performance.timeOrigin + performance.now() };
}

process.on('message', async ({ id, ...request }: WorkerRequest & { id: number }) => {
  const reply = await answer(request as WorkerRequest).catch((error) => ({ error: String(error) }));
  process.send?.({ id, ...reply });
});
process.on('disconnect', () => process.exit());
await cache.get('ready').catch(() => undefined);
process.send?.('ready');
