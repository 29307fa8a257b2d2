import type { Rule } from './command-table.js';
import { abortWith, type CommandOptions, type PoolCore } from './core.js';
import type { Deployment } from './deployment.js';
import type { Lease } from './lease.js';
import { executeMulti, type MultiTarget } from './multi.js';
import type { CommandArgs, ReplyTransform } from './node-redis.js';
import type { PendingCommand } from './pending-command.js';

/**
 * Sends a command that no table knows. It may get no reply or several, or change its connection: so it has a lease to itself,
 * and the connection is closed afterwards. `asking`: with ASKING in front.
 *
 * @throws {ConnectionError} if it got no reply, or more than one.
 */
export function sendUntrusted(
  core: PoolCore,
  args: CommandArgs,
  transform: ReplyTransform | undefined,
  options: CommandOptions,
  asking = false,
): Promise<unknown> {
  return onLease(core, options, (lease, left) => {
    const command = core.command(args, transform, options);
    const before = asking ? core.command(['ASKING']) : undefined;
    before?.promise.catch(() => undefined);
    submit(lease, before ? [before, command] : [command], left);
    return command.promise;
  });
}

/** Executes a transaction of which a command is untrusted, in the same way; `before` goes in front of its MULTI. */
export function executeUntrustedMulti(
  core: PoolCore,
  commands: readonly CommandArgs[],
  options: CommandOptions,
  before: readonly CommandArgs[] = [],
): Promise<unknown[]> {
  return onLease(core, options, (lease, left) => {
    const target: MultiTarget = {
      command: (args) => core.command(args, undefined, options),
      submitTogether: (all) => {
        submit(lease, all, left);
        return undefined;
      },
    };
    return executeMulti(target, commands, before);
  });
}

/** Sends one command of a pipeline that may block or is untrusted, as if it were sent by itself. */
export function sendSingle(
  deployment: Deployment,
  args: CommandArgs,
  rule: Rule,
  options: CommandOptions,
): Promise<unknown> {
  const blockMs = rule.kind === 'blocking' ? rule.blockMs(args) : undefined;
  return blockMs === undefined
    ? deployment.untrusted(args, undefined, options)
    : deployment.block(args, undefined, options, blockMs);
}

/** Runs `work` on a lease that is given up afterwards; waiting for it counts for the timeout. */
async function onLease<T>(
  core: PoolCore,
  options: CommandOptions,
  work: (lease: Lease, left: CommandOptions) => Promise<T>,
): Promise<T> {
  const error = core.enter(options.signal);
  if (error) throw error;
  try {
    const startedAt = performance.now();
    const lease = await core.lease(options.signal);
    const wholeTimeoutMs = options.timeoutMs ?? core.config.commandTimeoutMs;
    const timeoutMs = Math.max(1, Math.ceil(startedAt + wholeTimeoutMs - performance.now()));
    try {
      return await work(lease, { wholeTimeoutMs, ...options, timeoutMs });
    } finally {
      lease.discard();
    }
  } finally {
    core.leave();
  }
}

function submit(lease: Lease, commands: readonly PendingCommand[], options: CommandOptions): void {
  for (const command of commands) command.wholeTimeoutMs = options.wholeTimeoutMs;
  lease.submitTogether(commands, options.timeoutMs);
  lease.checkReplies();
  if (options.signal) abortWith(options.signal, commands, lease);
}
