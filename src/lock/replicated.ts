import type { RedisArgument } from 'redis';
import { InvalidArgumentError } from '../errors.js';
import { log } from '../observe/debug.js';
import { unlessAborted } from '../pool/abort.js';
import type { Claim, Held } from './claim.js';
import { LockLostError, LockNotReplicatedError } from './errors.js';
import type { Obtains } from './obtaining.js';
import { Requests } from './requests.js';
import type { LockStore } from './store.js';

/** A connection of one's own, as far as a lock is confirmed on it. */
interface Connection extends Pick<LockStore, 'runScript'> {
  sendCommand(args: string[]): Promise<unknown>;
  wait(replicas: number, timeoutMs: number): Promise<number>;
}

/** What is needed of a pool to confirm locks. */
export interface Connections {
  isolated<T>(fn: (connection: Connection) => Promise<T>, options: { key: RedisArgument }): Promise<T>;
  getPoolConfig(): { readonly commandTimeout: number };
}

/** @throws {InvalidArgumentError} unless it is a whole number of 1 or more. */
export function checkReplicas(replicas: number | undefined): void {
  if (replicas === undefined || (Number.isSafeInteger(replicas) && replicas >= 1)) return;
  throw new InvalidArgumentError(`replicas must be a whole number of 1 or more, got ${String(replicas)}`);
}

/**
 * Confirms that a lock that was granted has reached `replicas` replicas, and gives it back if it has not. It has its whole time
 * again then, counted from before it was confirmed.
 *
 * @throws {LockNotReplicatedError} if too few replicas have said so in time.
 * @throws {LockLostError} if its time was over before.
 */
export async function replicated(
  store: LockStore & Connections,
  owner: Pick<Obtains, 'giveBack'>,
  claim: Claim,
  held: Held,
  replicas: number,
  signal: AbortSignal | undefined,
): Promise<Held> {
  try {
    return await unlessAborted(confirm(store, claim, held, replicas), signal);
  } catch (error) {
    const givenBack = owner.giveBack(claim, held.fence);
    // Otherwise Redis may not answer, and the caller has waited long enough.
    if (error instanceof LockNotReplicatedError) await givenBack;
    throw error;
  }
}

async function confirm(store: LockStore & Connections, claim: Claim, { fence }: Held, replicas: number): Promise<Held> {
  const { keys, ttlMs } = claim;
  // Half of the lock's time at most, so that there is something left to hold.
  const { commandTimeout } = (store as Connections).getPoolConfig();
  const timeoutMs = Math.max(1, Math.floor(Math.min(commandTimeout, ttlMs / 2)));
  return store.isolated(
    async (connection) => {
      const sentAt = performance.now();
      // WAIT speaks of what its own connection wrote last. What that is comes behind the grant in what the replicas are sent.
      const [refreshed, connected] = await Promise.all([
        requestsOver(store, connection).refresh(claim, fence, ttlMs),
        connectedReplicas(connection),
      ]);
      if (!refreshed) throw new LockLostError(keys, 'it was over before it was confirmed by replicas');
      if (connected < replicas) throw new LockNotReplicatedError(keys, replicas, connected, undefined);
      const acknowledged = await connection.wait(replicas, timeoutMs);
      if (acknowledged < replicas) throw new LockNotReplicatedError(keys, replicas, acknowledged, timeoutMs);
      const expiresAt = sentAt + ttlMs;
      if (expiresAt <= performance.now()) throw new LockLostError(keys, 'it was over when replicas had confirmed it');
      return { fence, expiresAt };
    },
    { key: keys[0] as RedisArgument },
  );
}

/** What locks ask of Redis, over one connection. */
function requestsOver(store: LockStore, connection: Connection): Requests {
  const runScript: LockStore['runScript'] = (...call) => connection.runScript(...call);
  return new Requests(Object.create(store, { runScript: { value: runScript } }), '');
}

/** How many replicas the master is connected to; as many as one likes if this user may not ask. */
async function connectedReplicas(connection: Connection): Promise<number> {
  try {
    // Of a master: 'master', offset, replicas.
    const [, , replicas] = (await connection.sendCommand(['ROLE'])) as [string, number, unknown[]];
    return replicas.length;
  } catch (error) {
    log.lock('cannot ask for the replicas that are connected: %s', (error as Error).message);
    return Number.POSITIVE_INFINITY;
  }
}
