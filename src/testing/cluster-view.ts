import type { RedisServer } from './redis-server.js';

/** Number of slots of any cluster. */
export const SLOTS = 16_384;

/** What a node says of one node: a line of CLUSTER NODES. */
export interface NodeRecord {
  readonly id: string;
  readonly port: number;
  /** `master` or `slave`, and what is wrong: `fail?`, `fail`, `handshake`, `noaddr`. */
  readonly flags: readonly string[];
  /** Id of the master that it follows, for a replica. */
  readonly masterId: string;
  readonly epoch: number;
  readonly connected: boolean;
  /** Its slots, as ranges; what is on its way in or out is not looked at. */
  readonly slots: readonly (readonly [first: number, last: number])[];
}

/** What one node knows of the cluster. */
export interface NodeView {
  readonly server: RedisServer;
  /** What it says of itself, which is the truth unless a newer epoch says otherwise. */
  readonly own: NodeRecord;
  readonly known: ReadonlyMap<string, NodeRecord>;
  /** Whether it serves: `cluster_state:ok`. */
  readonly ok: boolean;
  /** Whether its link to its master is up; `true` for a master. */
  readonly linked: boolean;
}

export async function viewOf(server: RedisServer): Promise<NodeView> {
  const [nodes, info, role] = await server.exchange([['CLUSTER', 'NODES'], ['CLUSTER', 'INFO'], ['ROLE']]);
  const records = String(nodes).trim().split('\n').map(record);
  const own = records.find(({ flags }) => flags.includes('myself')) as NodeRecord;
  const [kind, , , state] = role as string[];
  return {
    server,
    own,
    known: new Map(records.map((each) => [each.id, each])),
    ok: String(info).includes('cluster_state:ok'),
    linked: kind === 'master' || state === 'connected',
  };
}

export function isMaster(node: NodeRecord): boolean {
  return node.flags.includes('master');
}

export function hasSlot(node: NodeRecord, slot: number): boolean {
  return node.slots.some(([first, last]) => slot >= first && slot <= last);
}

/** Every slot of `node`. */
export function slotsOf(node: NodeRecord): number[] {
  return node.slots.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
}

/** Who has `slot`. An old master that has just come back may claim it too, in an older epoch. */
export function ownerOf(views: readonly NodeView[], slot: number): NodeView | undefined {
  return views
    .filter(({ own }) => isMaster(own) && hasSlot(own, slot))
    .reduce<NodeView | undefined>((best, each) => (best && best.own.epoch >= each.own.epoch ? best : each), undefined);
}

/** The masters; not an old one that has just come back, and has yet to hear that its slots are another's. */
export function mastersOf(views: readonly NodeView[]): NodeView[] {
  return views.filter((view) => {
    const [range] = view.own.slots;
    return isMaster(view.own) && (range === undefined || ownerOf(views, range[0]) === view);
  });
}

/** What keeps these nodes from being one whole cluster; `undefined` for nothing. */
export function lackingIn(views: readonly NodeView[]): string | undefined {
  for (const view of views) {
    const who = `node ${view.server.address}`;
    if (!view.ok) return `${who} does not serve: its cluster_state is fail`;
    if (!view.linked) return `${who} is not linked to its master`;
    for (const other of views) {
      const unlike = unlikeness(view.known.get(other.own.id), other);
      if (unlike !== undefined) return `${who} ${unlike} ${other.server.address}`;
    }
  }
  // That of a master that has just ended: nobody may have noticed yet.
  const owned = new Set(mastersOf(views).flatMap(({ own }) => slotsOf(own)));
  return owned.size === SLOTS ? undefined : `${SLOTS - owned.size} slots are at no running node`;
}

function unlikeness(known: NodeRecord | undefined, { own }: NodeView): string | undefined {
  if (!known) return 'does not know';
  if (!known.connected) return 'is not connected to';
  const wrong = known.flags.find((flag) => !['myself', 'master', 'slave', 'nofailover'].includes(flag));
  if (wrong !== undefined) return `marks as ${wrong}`;
  const same =
    isMaster(known) === isMaster(own) && known.masterId === own.masterId && String(known.slots) === String(own.slots);
  return same ? undefined : 'has an old view of';
}

function record(line: string): NodeRecord {
  const [id = '', address = '', flags = '', masterId = '', , , epoch, link, ...slots] = line.trim().split(' ');
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    flags: flags.split(','),
    masterId,
    epoch: Number(epoch),
    connected: link === 'connected' || flags.includes('myself'),
    slots: slots.filter((slot) => !slot.startsWith('[')).map(range),
  };
}

function range(text: string): [first: number, last: number] {
  const [first = '', last = first] = text.split('-');
  return [Number(first), Number(last)];
}
