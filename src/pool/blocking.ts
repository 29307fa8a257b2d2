import { sleep } from '../async/timers.js';
import { ClosedError, ReplyError } from '../errors.js';
import { aborted, whenAborted, withEither } from './abort.js';
import type { CommandOptions, PoolCore } from './core.js';
import type { Lease } from './lease.js';
import type { Link } from './link.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import type { PendingCommand } from './pending-command.js';

const FIRST_RETRY_MS = 2;

/** Runs a command that may block, on a lease by itself. `blockMs`: how long the server may keep it; 0 is for ever. */
export async function runBlocking(
  core: PoolCore,
  args: CommandArgs,
  transform: ReplyTransform | undefined,
  options: CommandOptions,
  blockMs: number,
): Promise<unknown> {
  const error = core.enter(options.signal);
  if (error) throw error;
  try {
    return await endable(core, options, async (signal) => {
      const refusal = core.refuse(options);
      if (refusal) throw refusal;
      const lease = await core.lease(signal, undefined, core.failsFast(options));
      try {
        const command = core.command(args, transform, options);
        return await runOn(core, lease, command, signal, blockingTimeout(core, options, blockMs));
      } finally {
        lease.giveBack();
      }
    });
  } finally {
    core.leave();
  }
}

/** Runs a command that may block on a lease that its caller has already. */
export function blockOn(
  core: PoolCore,
  lease: Lease,
  command: PendingCommand,
  options: CommandOptions,
  blockMs: number,
): Promise<unknown> {
  return endable(core, options, (signal) =>
    runOn(core, lease, command, signal, blockingTimeout(core, options, blockMs)),
  );
}

/** Gives `work` the signal that ends it: the caller's, or the pool's when it closes. */
async function endable<T>(
  core: PoolCore,
  options: CommandOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    const closing = core.closing.signal;
    return await (options.signal ? withEither([options.signal, closing], work) : work(closing));
  } catch (failure) {
    // Closing the pool ends what waits the way an abort does, but it is not the caller's abort.
    throw core.closing.signal.aborted && !options.signal?.aborted ? closed(core, failure) : failure;
  }
}

/** The timeout of a command that the server may keep for `blockMs`; 0 is for ever. */
export function blockingTimeout(core: PoolCore, options: CommandOptions, blockMs: number): number {
  return blockMs === 0 ? Number.POSITIVE_INFINITY : blockMs + (options.timeoutMs ?? core.config.commandTimeoutMs);
}

async function runOn(
  core: PoolCore,
  lease: Lease,
  command: PendingCommand,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<unknown> {
  const clientId = clientIdOf(core, lease);
  lease.submit(command, timeoutMs);
  const onAbort = () => void unblock(core, lease, clientId, command);
  const stop = whenAborted(signal, onAbort);
  if (signal.aborted) onAbort();
  try {
    const reply = await command.promise;
    // An element that was popped before the abort took effect is the caller's: a rejection would lose it.
    if (reply === null && signal.aborted) throw aborted(signal);
    return reply;
  } finally {
    stop();
  }
}

/** The id of each connection, which never changes, so that it is asked for once; `''` where the user may not ask. */
const clientIds = new WeakMap<Link, string>();

function clientIdOf(core: PoolCore, lease: Lease): string | Promise<unknown> {
  const { link } = lease;
  const known = clientIds.get(link);
  if (known !== undefined) return known;
  const asking = core.command(['CLIENT', 'ID']);
  lease.submit(asking);
  // Not the promise: it would keep the async context of its caller for the life of the connection.
  asking.promise.then(
    (id) => clientIds.set(link, String(id)),
    (error) => {
      if (error instanceof ReplyError) clientIds.set(link, '');
    },
  );
  return asking.promise;
}

/**
 * Makes the server answer a blocked command now. CLIENT UNBLOCK and not a closed connection: the server would push an
 * element that arrives meanwhile into the closed connection, and it would be lost.
 */
async function unblock(
  core: PoolCore,
  lease: Lease,
  clientId: string | Promise<unknown>,
  command: PendingCommand,
): Promise<void> {
  const giveUpAt = performance.now() + core.config.commandTimeoutMs;
  try {
    const id = String(await clientId);
    // Until the command itself has reached the server there is nothing to unblock, and the answer is 0.
    for (let delay = FIRST_RETRY_MS; !command.done; delay = Math.min(delay * 2, 100)) {
      const unblocking = core.command(['CLIENT', 'UNBLOCK', id]);
      const failure = core.submitTogether([unblocking], { timeoutMs: remaining(giveUpAt) }, true);
      if (failure) throw failure;
      if ((await unblocking.promise) === 1) return;
      if (performance.now() >= giveUpAt) throw new Error('the server does not know the connection as blocked');
      await sleep(delay);
    }
  } catch {
    // The server cannot be told (no permission, no connection, no answer): closing the connection ends the command as well.
    lease.discard();
  }
}

function remaining(giveUpAt: number): number {
  return Math.max(1, Math.ceil(giveUpAt - performance.now()));
}

function closed(core: PoolCore, cause: unknown): ClosedError {
  return new ClosedError(`Pool ${core.config.code} was closed while the command waited`, { cause });
}
