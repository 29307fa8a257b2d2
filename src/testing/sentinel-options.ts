import { type Duration, positiveMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import type { OptionTable } from '../options.js';
import { freePort } from './free-port.js';
import { checkCount, checkGroupOptions, checkPassword, checkPorts, type GroupOptions } from './options.js';
import { giveUpPort } from './port-claims.js';
import type { Setting } from './server-config.js';
import type { ServerRole } from './server-role.js';

/** How `startSentinel` sets up its servers; everything has a default. `args` are those of the master and the replicas. */
export interface StartSentinelOptions extends GroupOptions {
  /** The name that sentinels and clients know the master by; default `mymaster`. */
  name?: string;
  /** Number of replicas; default 2. With 0 there is no failover. */
  replicas?: number;
  /** Number of sentinels; default 3. */
  sentinels?: number;
  /** How many sentinels must agree that the master is down; default: more than half of them. */
  quorum?: number;
  /** How long a server must be silent to count as down; default 500 ms. */
  downAfter?: Duration;
  /** How long each step of a failover may take; one that failed is tried again after twice this time. Default 2 s. */
  failoverTimeout?: Duration;
  /** How many replicas are told of the new master at a time; default: all of them. */
  parallelSyncs?: number;
  /** First TCP port of the servers, the master's; the others take the ports after it. Default: free ones. */
  port?: number;
  /** First TCP port of the sentinels; the others take the ports after it. Default: free ones. */
  sentinelPort?: number;
  /** Password of the sentinels themselves; default: none. `password` is that of the servers. */
  sentinelPassword?: string;
}

const START_SENTINEL: Omit<OptionTable<StartSentinelOptions>, keyof GroupOptions> = {
  name: ['master', 'masterName'],
  replicas: ['slaves'],
  sentinels: true,
  quorum: true,
  downAfter: true,
  failoverTimeout: true,
  parallelSyncs: true,
  port: true,
  sentinelPort: true,
  sentinelPassword: true,
};

/** {@link StartSentinelOptions}, checked and without gaps. */
export interface SentinelPlan {
  readonly name: string;
  readonly replicas: number;
  readonly sentinels: number;
  readonly quorum: number;
  /** What is said of the master with SENTINEL SET. */
  readonly monitoring: readonly (readonly [name: string, value: string])[];
}

/** @throws {InvalidArgumentError} for what no group could be started with. */
export function sentinelPlan(options: StartSentinelOptions): SentinelPlan {
  checkGroupOptions('startSentinel', options, START_SENTINEL);
  const { name = 'mymaster', replicas = 2, sentinels = 3, password } = options;
  for (const key of ['password', 'sentinelPassword'] as const) {
    checkPassword(key, options[key]);
    // A sentinel writes it into its own configuration without quotes, and could not read that after a restart.
    if (/[\s"'\\]/.test(options[key] ?? '')) {
      throw new InvalidArgumentError(
        `${key} must hold no white space, quotes or backslashes: sentinels cannot keep it`,
      );
    }
  }
  if (!/^[\w.-]+$/.test(name)) {
    throw new InvalidArgumentError(`name must consist of letters, digits and . - _, got ${JSON.stringify(name)}`);
  }
  checkCount('replicas', replicas, 0);
  checkCount('sentinels', sentinels, 1);
  const { quorum = Math.floor(sentinels / 2) + 1, parallelSyncs = Math.max(replicas, 1) } = options;
  checkCount('quorum', quorum, 1);
  if (quorum > sentinels) throw new InvalidArgumentError(`quorum is ${quorum}, but there are ${sentinels} sentinels`);
  checkCount('parallelSyncs', parallelSyncs, 1);
  checkPorts('port', options.port, replicas + 1);
  checkPorts('sentinelPort', options.sentinelPort, sentinels);
  const monitoring: [string, string][] = [
    ['down-after-milliseconds', String(positiveMs(options.downAfter ?? 500, 'downAfter'))],
    ['failover-timeout', String(positiveMs(options.failoverTimeout ?? 2_000, 'failoverTimeout'))],
    ['parallel-syncs', String(parallelSyncs)],
  ];
  if (password !== undefined) monitoring.push(['auth-pass', password]);
  return { name, replicas, sentinels, quorum, monitoring };
}

/** The master and the replicas: a failover makes one out of the other, so that they are set up alike. */
export function memberRole({ password, tls }: StartSentinelOptions): ServerRole {
  const settings: Setting[] = [['repl-diskless-sync-delay', 0]];
  if (password !== undefined) settings.push(['masterauth', password]);
  if (tls) settings.push(['tls-replication', 'yes']);
  // REPLICAOF comes later and from outside, and a failover has the servers write it down.
  return { settings, flags: [], rewritesConfig: true, greeting: [], freePort, giveUpPort };
}

/*
 * How often the sentinels look around, in ms. As they are, two of them need 2 s to find each other, and an old master
 * is a replica again after 8 s. Not smaller than this: they take a replica for lost from which they had no INFO for
 * three periods, and ask for it just once a second while a failover runs.
 */
const PACE = {
  'info-period': 500,
  'publish-period': 200,
  'ask-period': 100,
  // A sentinel that was frozen keeps out of everything for this long.
  'tilt-period': 2_000,
};

export function sentinelRole({ sentinelPassword, tls }: StartSentinelOptions): ServerRole {
  const settings: Setting[] = [];
  if (sentinelPassword !== undefined) settings.push(['sentinel', 'sentinel-pass', sentinelPassword]);
  if (tls) settings.push(['tls-replication', 'yes']);
  const pace = Object.entries(PACE).flatMap(([name, ms]) => [name, String(ms)]);
  return {
    settings,
    flags: ['--sentinel'],
    rewritesConfig: true,
    greeting: [['SENTINEL', 'DEBUG', ...pace]],
    freePort,
    giveUpPort,
  };
}
