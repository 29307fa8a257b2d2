import { randomBytes } from 'node:crypto';
import type { RedisArgument } from 'redis';

/** Exclusive, reader, writer, or one permit of a semaphore. */
export type ClaimKind = 'x' | 'r' | 'w' | 's';

/** What one caller asks for: to hold some keys, in some way, for some time. */
export interface Claim {
  readonly keys: readonly RedisArgument[];
  /** Of the slot of the keys; `''` where there are no slots. */
  readonly tag: string;
  readonly kind: ClaimKind;
  readonly permits: number;
  readonly token: string;
  /** Whether the token was drawn for this claim, so that no other has it. */
  readonly drawn: boolean;
  readonly metadata: string;
  /** The token with the metadata behind it; what is compared, whole. */
  readonly value: string;
  readonly ttlMs: number;
}

/** A claim that was granted. */
export interface Held {
  /** In the digits that Redis gave, which are needed again to give the claim back. */
  readonly fence: string;
  /** When it is over at the earliest, on the clock of `performance.now()`. */
  readonly expiresAt: number;
}

export function isNotOver(held: Held | undefined): held is Held {
  return held !== undefined && held.expiresAt > performance.now();
}

const TOKEN_CHARACTERS = 22;
/** So many are drawn at once, as that costs as much as a lock; not more, as each keeps the text of all alive. */
const TOKENS = 256;
let tokens = '';
let used = 0;

/** 132 random bits as 22 characters. They are drawn in bulk: one at a time they would cost more than the lock. */
export function randomToken(): string {
  if (used === tokens.length) {
    tokens = randomBytes((TOKENS * TOKEN_CHARACTERS * 3) / 4).toString('base64url');
    used = 0;
  }
  used += TOKEN_CHARACTERS;
  return tokens.slice(used - TOKEN_CHARACTERS, used);
}
