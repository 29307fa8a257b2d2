import type { RedisPool } from '../../../src/index.js';
import type { Connections } from '../../../src/lock/replicated.js';
import type { LockStore } from '../../../src/lock/store.js';

/** In what a script is given: the place in the queue that is asked for, by one who did not stand there before. */
const ASKS_ANEW = /^\d+ lagoon:lock:\S+ 0$/;

/** The pool as the locks see it; `queued` is called with a claim's token when Redis has confirmed that it stands in the queue. */
export function recording(pool: RedisPool, queued: (token: string) => void): LockStore & Connections {
  return {
    async runScript(script, keys, args = [], shared) {
      const reply = await pool.runScript(script, keys, args, shared);
      const asksAnew = args.some((argument) => ASKS_ANEW.test(String(argument)));
      if (asksAnew && Array.isArray(reply) && reply[0] === 0) queued(String(args[0]));
      return reply;
    },
    callScript: (...call) => pool.callScript(...call),
    slotTag: (key) => pool.slotTag(key),
    sSubscribe: (channel, listener, options) => pool.sSubscribe(channel, listener, options),
    subscribe: (channel, listener, options) => pool.subscribe(channel, listener, options),
    getPoolConfig: () => pool.getPoolConfig(),
    inBackground: (work) => pool.inBackground(work),
    closing: pool.closing,
    holdOpen: (work) => pool.holdOpen(work),
    isolated: (fn, options) => pool.isolated(fn, options),
  };
}
