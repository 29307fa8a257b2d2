import type { RedisServer } from './redis-server.js';
import type { RedisReply } from './resp.js';

/** What a sentinel says of one server or sentinel. */
type Entry = ReadonlyMap<string, string>;

/** What one sentinel knows of a master and of what belongs to it. */
export interface SentinelView {
  readonly sentinel: RedisServer;
  readonly master: Entry;
  readonly replicas: readonly Entry[];
  readonly others: readonly Entry[];
}

/** Asks a sentinel for all that it knows of the master called `name`. */
export async function viewOf(sentinel: RedisServer, name: string): Promise<SentinelView> {
  const [master = [], replicas, others] = await sentinel.exchange([
    ['SENTINEL', 'MASTER', name],
    ['SENTINEL', 'REPLICAS', name],
    ['SENTINEL', 'SENTINELS', name],
  ]);
  return { sentinel, master: entry(master), replicas: entries(replicas), others: entries(others) };
}

/** What keeps `view` from being whole, given who runs; `undefined` for nothing. */
export function lackingIn(
  view: SentinelView,
  master: RedisServer,
  replicas: readonly RedisServer[],
  sentinels: readonly RedisServer[],
): string | undefined {
  const who = `sentinel ${view.sentinel.address}`;
  if (!isAt(view.master, master)) return `${who} has ${portOf(view.master)} as the master, not ${master.port}`;
  if (view.master.get('flags') !== 'master') return `${who} has the master as ${view.master.get('flags')}`;
  for (const replica of replicas) {
    const known = view.replicas.find((each) => isAt(each, replica));
    if (known?.get('flags') !== 'slave') return `${who} has replica ${replica.port} as ${known?.get('flags')}`;
    if (known.get('master-link-status') !== 'ok' || known.get('master-port') !== String(master.port)) {
      return `${who} does not see replica ${replica.port} linked to ${master.port}`;
    }
  }
  for (const other of sentinels) {
    if (other === view.sentinel) continue;
    const flags = view.others.find((each) => isAt(each, other))?.get('flags');
    if (flags !== 'sentinel') return `${who} has sentinel ${other.port} as ${flags}`;
  }
  return undefined;
}

/** The replicas that the sentinel finds in order. */
export function soundReplicas(view: SentinelView, servers: readonly RedisServer[]): RedisServer[] {
  const sound = view.replicas.filter((each) => each.get('flags') === 'slave');
  return servers.filter((server) => sound.some((each) => isAt(each, server)));
}

/** Whether the sentinel's entry is about `server`; every server of a group has the same host. */
export function isAt(entry: Entry, server: RedisServer): boolean {
  return portOf(entry) === String(server.port);
}

function portOf(entry: Entry): string | undefined {
  return entry.get('port');
}

function entries(reply: RedisReply | undefined): Entry[] {
  return Array.isArray(reply) ? reply.map(entry) : [];
}

/** A reply of names and values in turn. */
function entry(reply: RedisReply): Entry {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : [])));
}
