import type { Standing } from './algorithms.js';
import type { Quota } from './quota.js';
import type { DecideReply } from './scripts.js';

const FIELDS = 4;

/** What a reply says of each rule. */
export function standingsOf(quotas: readonly Quota[], reply: DecideReply): Standing[] {
  if (typeof reply === 'number') {
    // All were accepted just now: it is over when the newest of them is.
    return [{ used: reply, waitUs: 0, resetUs: quotas[0]?.periodUs ?? 0, blockedUs: 0 }];
  }
  return quotas.map((_, i) => {
    const [used = 0, waitUs = 0, resetUs = 0, blockedUs = 0] = reply.slice(1 + i * FIELDS, 1 + (i + 1) * FIELDS);
    return { used, waitUs, resetUs, blockedUs };
  });
}
