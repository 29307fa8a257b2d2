import { afterAll, beforeAll, describe } from 'vitest';
import { cache } from './cache.js';
import { cacheLoads } from './cache-loads.js';
import { cacheLocal } from './cache-local.js';
import { engine } from './engine.js';
import { frozen } from './frozen.js';
import { limits } from './limits.js';
import { lockKinds } from './lock-kinds.js';
import { locks } from './locks.js';
import { pubSub } from './pub-sub.js';
import { rawCommands } from './raw-commands.js';
import { scripts } from './scripts.js';
import { Site, type Topology } from './site.js';
import { streams } from './streams.js';
import { transactions } from './transactions.js';
import { views } from './views.js';

const SUITES = {
  'raw commands': rawCommands,
  streams,
  transactions,
  scripts,
  'pub/sub': pubSub,
  views,
  engine,
  locks,
  'kinds of locks': lockKinds,
  limits,
  cache,
  'loads of a cache': cacheLoads,
  'local tier of a cache': cacheLocal,
};

/** Every feature, as users see it, on the servers that `start` gives: the same tests whatever these are. */
export function features(start: () => Promise<Topology>, keyPrefix = ''): void {
  const site = new Site(keyPrefix);
  beforeAll(async () => site.start(await start()));
  afterAll(() => site.stop());
  // At the same time, as much of it is waiting for time to pass.
  for (const [name, suite] of Object.entries(SUITES)) describe.concurrent(name, () => suite(site));
  // After them, as it takes the servers away from everybody.
  describe('while no server answers', () => frozen(site));
}
