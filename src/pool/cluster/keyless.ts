import type { RedisArgument } from 'redis';

/** Makes one reply of those of all masters. */
export type Combine = (replies: readonly unknown[]) => unknown;

const sum: Combine = (replies) => replies.reduce<number>((total, reply) => total + Number(reply), 0);
const together: Combine = (replies) => replies.flat();
/** All masters do the same, so that one of them speaks for all. */
const first: Combine = (replies) => replies[0];
const everywhere: Combine = (replies) =>
  (replies as number[][]).reduce((known, reply) => known.map((flag, i) => Math.min(flag, reply[i] ?? 0)));

/** Commands without a key that go to every master of a cluster; all others without one go to any. */
const BROADCAST: ReadonlyMap<string, Combine> = new Map(
  Object.entries({
    DBSIZE: sum,
    KEYS: together,
    FLUSHALL: first,
    FLUSHDB: first,
    'SCRIPT LOAD': first,
    'SCRIPT FLUSH': first,
    'SCRIPT EXISTS': everywhere,
    'FUNCTION LOAD': first,
    'FUNCTION DELETE': first,
    'FUNCTION FLUSH': first,
    'FUNCTION RESTORE': first,
  }),
);

/** How to combine the replies of all masters, if a command without keys has to go to every one of them. */
export function broadcastOf(args: readonly RedisArgument[]): Combine | undefined {
  const name = String(args[0]).toUpperCase();
  return (
    BROADCAST.get(name) ?? (args.length > 1 ? BROADCAST.get(`${name} ${String(args[1]).toUpperCase()}`) : undefined)
  );
}
