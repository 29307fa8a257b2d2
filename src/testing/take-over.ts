import { isMaster, viewOf } from './cluster-view.js';
import type { RedisServer } from './redis-server.js';
import type { ServerGroup } from './server-group.js';

/** How long a master holds writes back at most, should nobody tell it to go on. */
const PAUSE_MS = 10_000;

/**
 * Has `replica` take over from `master`, or from one that does not run if that is left out; resolves once `lacking`
 * has nothing to name any more.
 *
 * As CLUSTER FAILOVER does it (hold writes back, let the replica catch up, take over), but without an election: a node
 * that has won one can win the next for some seconds only by the votes of the last, in an epoch that is over, and is
 * put back by the others.
 */
export async function takeOver(
  group: ServerGroup,
  replica: RedisServer,
  master: RedisServer | undefined,
  lacking: () => Promise<string | undefined>,
): Promise<void> {
  try {
    if (master) {
      await master.cli('CLIENT', 'PAUSE', String(PAUSE_MS), 'WRITE');
      await group.settle(() => behind(replica, master));
    }
    await replica.cli('CLUSTER', 'FAILOVER', 'TAKEOVER');
    await group.settle(async () => {
      const { own } = await viewOf(replica);
      return isMaster(own) ? lacking() : `${replica.address} is still a replica`;
    });
  } finally {
    // Not before it is a replica: it would take writes that the new master never hears of.
    await master?.cli('CLIENT', 'UNPAUSE').catch(() => {});
  }
}

async function behind(replica: RedisServer, master: RedisServer): Promise<string | undefined> {
  const [[, sent], [, , , , applied]] = (await Promise.all([master.cli('ROLE'), replica.cli('ROLE')])) as [
    unknown[],
    unknown[],
  ];
  return sent === applied ? undefined : `${replica.address} is at ${applied}, its master at ${sent}`;
}
