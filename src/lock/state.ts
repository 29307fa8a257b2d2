import type { LookReply } from './replies.js';

/** How a key is doing, whatever kind of lock it is. */
export interface LockState {
  readonly held: boolean;
  /** The time in ms until all who hold it now are gone; 0 if it is free; -1 if the holder, none of ours, set no expiry. */
  readonly ttl: number;
  /** The fence of the holder, of several that of the latest; `undefined` if it is free, or the holder is none of ours. */
  readonly fence: number | undefined;
  /** Claims that wait. */
  readonly waiting: number;
  /** Who holds it, in the order in which their time is over. Readers and permits may be many. */
  readonly holders: readonly LockHolder[];
}

/** One who holds a key. */
export interface LockHolder {
  readonly kind: 'exclusive' | 'reader' | 'writer' | 'permit';
  /** The token with the metadata behind it. A token that its holder did not choose has 22 characters. */
  readonly value: string;
  /** `undefined` if it is none of ours. */
  readonly fence: number | undefined;
  /** The time that is left in ms; -1 if it has no expiry. */
  readonly ttl: number;
}

const KINDS = { x: 'exclusive', r: 'reader', w: 'writer', s: 'permit' } as const;

/** What is said of a key to whoever asked. */
export function stateOf([waiting, holders]: LookReply): LockState {
  const told = holders.map(([written, ttl]) => holderOf(written, ttl));
  const fences = told.flatMap(({ fence }) => fence ?? []);
  return {
    held: told.length > 0,
    ttl: told.at(-1)?.ttl ?? 0,
    fence: fences.length > 0 ? fences.reduce((a, b) => Math.max(a, b)) : undefined,
    waiting,
    holders: told,
  };
}

function holderOf(written: string, ttl: number): LockHolder {
  const kind = KINDS[written[0] as keyof typeof KINDS];
  const [, value = written.slice(1), fence] = /^.(.*)#(\d+)$/s.exec(written) ?? [];
  return { kind, value, fence: fence === undefined ? undefined : Number(fence), ttl };
}
