import { InvalidArgumentError } from '../errors.js';
import { commandNames } from './node-redis.js';

/** Methods of other clients, and what a pool has instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  pipeline:
    'multi() with execAsPipeline(), or just call without awaiting each: what is sent together is written together',
  call: 'sendCommand([name, ...args])',
  callBuffer: 'sendCommand([name, ...args]) of withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })',
  sendCommands: 'sendCommand([name, ...args])',
  executeIsolated: 'isolated(fn)',
  defineCommand: 'defineScript({ lua }) and runScript(script, keys, args)',
  duplicate: 'isolated(fn) for a connection of your own; the pool makes connections as they are needed',
  connect: 'engine.connect()',
  close: 'engine.close()',
  disconnect: 'engine.close()',
  destroy: 'engine.close()',
  end: 'engine.close()',
  on: 'engine.registerQueryLogger() for commands, engine.health() for connections, subscribe() for messages: a pool emits no events',
  once: 'engine.registerQueryLogger() for commands, engine.health() for connections, subscribe() for messages: a pool emits no events',
  off: 'the function that registerQueryLogger() returned, or unsubscribe() of a subscription: a pool emits no events',
  addListener: 'engine.registerQueryLogger(): a pool emits no events',
  removeListener: 'the function that registerQueryLogger() returned: a pool emits no events',
  removeAllListeners: 'the function that registerQueryLogger() returned: a pool emits no events',
  scanStream: 'scanIterator({ MATCH, COUNT })',
  hscanStream: 'hScanIterator(key, { MATCH, COUNT })',
  sscanStream: 'sScanIterator(key, { MATCH, COUNT })',
  zscanStream: 'zScanIterator(key, { MATCH, COUNT })',
  getBuffer: 'withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get(key)',
  hgetallBuffer: 'withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).hGetAll(key)',
  psubscribe: 'pSubscribe(pattern, listener)',
  punsubscribe: 'unsubscribe() of the subscription that pSubscribe() gave',
  ssubscribe: 'sSubscribe(channel, listener)',
  sunsubscribe: 'unsubscribe() of the subscription that sSubscribe() gave',
  quit: 'engine.close()',
};

/**
 * Gives `prototype` properties that throw what to use instead of the methods of other clients, such as `mget` and `pipeline`: without
 * them they are `undefined`, and the error says no more than that. They are not enumerable, and none is one that a library looks for to see
 * what an object is (`then`, `status`, `isOpen`).
 */
export function attachForeignNames(prototype: object): void {
  for (const method of commandNames().methods) {
    defineThrowing(prototype, method.toLowerCase(), `${method}(…)`);
  }
  for (const [name, instead] of Object.entries(INSTEAD)) defineThrowing(prototype, name, instead);
}

function defineThrowing(prototype: object, name: string, instead: string): void {
  if (name in prototype) return;
  Object.defineProperty(prototype, name, {
    configurable: true,
    enumerable: false,
    get(): never {
      throw new InvalidArgumentError(`A pool has no ${name}: use ${instead}`);
    },
    // A test, or a library, may put a function of its own there.
    set(this: object, value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true });
    },
  });
}
