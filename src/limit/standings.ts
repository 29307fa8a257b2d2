import type { Standing } from './algorithms.js';
import type { Quota } from './quota.js';
import type { DecideReply } from './scripts.js';

const FIELDS = 4;

/** What a reply says of each rule. */
export function standingsOf(quotas: readonly Quota[], reply: DecideReply): Standing[] {
  if (typeof reply === 'number') {
    const quota = quotas[0] as Quota;
    return [{ used: usedOf(quota, reply), waitUs: 0, resetUs: resetMsOf(quota, reply) * 1000, blockedUs: 0 }];
  }
  return quotas.map((_, i) => {
    const [used = 0, waitUs = 0, resetUs = 0, blockedUs = 0] = reply.slice(1 + i * FIELDS, 1 + (i + 1) * FIELDS);
    return { used, waitUs, resetUs, blockedUs };
  });
}

/** What a number as the reply says is used. That of a fixed window has the ms to the reset above all that may be used. */
export function usedOf({ kind, limit }: Quota, reply: number): number {
  return kind === 'f' ? reply % (limit + 1) : reply;
}

/** In how many ms nothing is used any more, after a reply that is a number: all were accepted just now. GCRA has it in what is used. */
export function resetMsOf({ kind, limit, periodMs }: Quota, reply: number): number {
  return kind === 'f' ? Math.floor(reply / (limit + 1)) : periodMs;
}
