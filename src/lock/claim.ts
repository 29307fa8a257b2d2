import { randomFillSync } from 'node:crypto';
import type { RedisArgument } from 'redis';

/** Exclusive, reader, writer, or one permit of a semaphore. */
export type ClaimKind = 'x' | 'r' | 'w' | 's';

/** What one caller asks for: to hold some keys, in some way, for some time. */
export interface Claim {
  readonly keys: readonly RedisArgument[];
  readonly kind: ClaimKind;
  readonly permits: number;
  readonly token: string;
  readonly metadata: string;
  /** The token with the metadata behind it; what is compared, whole. */
  readonly value: string;
  readonly ttlMs: number;
}

/** A claim that was granted. */
export interface Held {
  readonly fence: number;
  /** When it is over at the earliest, on the clock of `performance.now()`. */
  readonly expiresAt: number;
}

const TOKEN_BYTES = 16;
const pool = Buffer.alloc(TOKEN_BYTES * 256);
let used = pool.length;

/** 128 random bits as 22 characters. Random bytes are drawn in bulk: one at a time they would cost more than the lock. */
export function randomToken(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += TOKEN_BYTES;
  return pool.toString('base64url', used - TOKEN_BYTES, used);
}
