import { InvalidArgumentError } from '../errors.js';
import { replicate } from './cluster-join.js';
import { mastersOf, type NodeView, slotsOf, viewOf } from './cluster-view.js';
import type { RedisServer } from './redis-server.js';
import { type MoveScene, SlotMove } from './slot-move.js';

/**
 * Gives the slots of `node`, with their keys, and its replicas to the masters among `rest`, and has these forget it.
 *
 * @param id the id of `node`, which need not run if it has no slots.
 */
export async function leave(scene: MoveScene, node: RedisServer, id: string, rest: readonly NodeView[]): Promise<void> {
  const slots = rest.flatMap(({ known }) => known.get(id) ?? []).map(slotsOf)[0];
  const heirs = mastersOf(rest);
  if (slots === undefined || heirs.length === 0) {
    throw new InvalidArgumentError(`${node.address} cannot be removed: it is the last master`);
  }
  if (slots.length > 0) {
    const own = await viewOf(node);
    for (const [index, heir] of heirs.entries()) {
      const share = slots.filter((_, at) => Math.floor((at * heirs.length) / slots.length) === index);
      if (share.length > 0) await (await SlotMove.start(scene, share, own, heir)).finish();
    }
  }
  // Before they are to forget their master, which they would refuse.
  const orphans = rest.filter(({ own }) => own.masterId === id);
  const adoptions = orphans.map(({ server }, index) =>
    replicate(scene.group, server, (heirs[index % heirs.length] as NodeView).server),
  );
  await Promise.all(adoptions);
  await Promise.all(rest.map(({ server }) => server.cli('CLUSTER', 'FORGET', id)));
}
