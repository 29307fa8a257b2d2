import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const PEERS = [
  'redis',
  'ioredis',
  'iovalkey',
  'generic-pool',
  'redlock4',
  'redlock5',
  'redis-semaphore',
  '@verrou/core',
  'rate-limiter-flexible',
  'bentocache',
  'cache-manager',
  'keyv',
  '@keyv/redis',
  'lru-cache',
];

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * What the numbers depend on, and nothing that names the machine.
 *
 * @param {import('./clients.mjs').Server} server
 */
export async function machineFacts(server) {
  const info = String(await server.cli('INFO', 'server'));
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    redisServer: /redis_version:(\S+)/.exec(info)?.[1],
    platform: `${process.platform} ${process.arch}`,
    cpus: availableParallelism(),
    clients: Object.fromEntries(await Promise.all(PEERS.map(async (name) => [name, await version(name)]))),
  };
}

/** Of the package in this folder; not every package lets its package.json be resolved. */
async function version(name) {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(await readFile(file, 'utf8')).version;
}

/** @throws if the node-redis beside us is not the one that Lagoon uses: the comparison would be of two versions. */
export async function checkVersions() {
  const ofLagoon = createRequire(new URL('../../dist/index.js', import.meta.url))('redis/package.json').version;
  const ours = await version('redis');
  if (ofLagoon !== ours) throw new Error(`bench/ has redis ${ours} and Lagoon has ${ofLagoon}; make them the same`);
}

export async function save(name, results) {
  await mkdir(folder('../results'), { recursive: true });
  await writeFile(folder(`../results/${name}.json`), `${JSON.stringify(results, rounded, 2)}\n`);
}

export async function saveChart(name, svg) {
  await mkdir(folder('../../docs/img'), { recursive: true });
  await writeFile(folder(`../../docs/img/${name}.svg`), svg);
}

/** Four digits say all that a measurement knows. */
function rounded(_key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
