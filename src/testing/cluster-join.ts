import { lackingIn, SLOTS, viewOf } from './cluster-view.js';
import type { RedisServer } from './redis-server.js';
import type { ServerGroup } from './server-group.js';

/** Makes one cluster of fresh nodes: the slots divided among the first `count`, the others their replicas in turn. */
export async function form(group: ServerGroup, nodes: readonly RedisServer[], count: number): Promise<void> {
  const masters = nodes.slice(0, count);
  // Epochs of their own, as nodes with the same one need rounds of messages to settle who gives way.
  const epochs = nodes.map((node, index) => node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1)));
  await Promise.all(epochs);
  await Promise.all(
    masters.map((node, index) => {
      const [first, end] = [index, index + 1].map((part) => Math.round((part * SLOTS) / count)) as [number, number];
      return node.cli('CLUSTER', 'ADDSLOTSRANGE', String(first), String(end - 1));
    }),
  );
  // Everyone calls everyone: it is the nodes' gossip that would take long.
  await Promise.all(nodes.map((node, index) => meet(node, nodes.slice(index + 1))));
  const replicas = nodes.slice(count);
  await Promise.all(replicas.map((node, index) => replicate(group, node, masters[index % count] as RedisServer)));
  await group.settle(() => lacking(nodes));
}

/** Brings `node` into the cluster of `others`; as a replica of `master`, if there is one. */
export async function join(
  group: ServerGroup,
  node: RedisServer,
  others: readonly RedisServer[],
  master: RedisServer | undefined,
): Promise<void> {
  await meet(node, others);
  if (master) await replicate(group, node, master);
  await group.settle(() => lacking([...others, node]));
}

/** Makes `node` a replica of `master`, once it knows it. */
export async function replicate(group: ServerGroup, node: RedisServer, master: RedisServer): Promise<void> {
  const id = String(await master.cli('CLUSTER', 'MYID'));
  await group.settle(async () => {
    await node.cli('CLUSTER', 'REPLICATE', id); // an error until it knows the id
    return undefined;
  });
}

/** What keeps `nodes` from being one whole cluster. */
export async function lacking(nodes: readonly RedisServer[]): Promise<string | undefined> {
  return lackingIn(await Promise.all(nodes.map(viewOf)));
}

async function meet(node: RedisServer, others: readonly RedisServer[]): Promise<void> {
  await node.exchange(others.map(({ host, port }) => ['CLUSTER', 'MEET', host, String(port)]));
}
