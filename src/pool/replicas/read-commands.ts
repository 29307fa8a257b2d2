import type { RedisArgument } from 'redis';
import { knownCommands } from '../known-commands.js';

/**
 * Commands that the server calls read-only and that belong to the master all the same: a cursor means something to one server
 * only, what is touched or compacted is the master's, and a script's keys are nobody's but its own to know.
 */
const OF_THE_MASTER: ReadonlySet<string> = new Set(
  (
    'HSCAN SSCAN ZSCAN ARSCAN BF.SCANDUMP CF.SCANDUMP TOUCH CF.COMPACT BF.DEBUG CF.DEBUG JSON.DEBUG ' +
    'EVAL_RO EVALSHA_RO FCALL_RO'
  ).split(' '),
);

let reads: ReadonlySet<RedisArgument | undefined> | undefined;

/** Whether a command only reads the keys that it names, so that a replica can answer it. One that is not known does not. */
export function isRead(args: readonly RedisArgument[]): boolean {
  reads ??= new Set(readCommands());
  // The names that node-redis writes are found at the first look; a caller's own may be in any letter case.
  const [name] = args;
  return reads.has(name) || (isWrittenFreely(name) && reads.has(String(name).toUpperCase()));
}

/** The upper-case names of the commands that a replica can answer. */
export function readCommands(): string[] {
  return [...knownCommands()].flatMap(([name, { isKeyless, flags }]) =>
    !isKeyless && flags.includes('readonly') && !OF_THE_MASTER.has(name) && !name.includes(' ') ? [name] : [],
  );
}

function isWrittenFreely(name: RedisArgument | undefined): boolean {
  return typeof name !== 'string' || /[a-z]/.test(name);
}
