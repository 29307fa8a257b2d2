import type { RedisArgument } from 'redis';
import { signatureOf } from './call-check.js';
import { assertSendable, callError } from './call-errors.js';
import type { Rule } from './command-table.js';
import { COMMAND_TABLE } from './command-table.js';
import { assertCommand, type DeclaredCommands, refusal, ruleOfRaw, ruleOfTyped } from './guard.js';
import {
  type CommandArgs,
  commandNames,
  type Encoder,
  type ReplyTransform,
  type ScanIterator,
  scanIterators,
} from './node-redis.js';

/** Client methods of node-redis that are commands but not part of its builder. */
const CLIENT_METHODS: Readonly<Record<string, string>> = {
  select: 'SELECT',
  reset: 'RESET',
  quit: 'QUIT',
  watch: 'WATCH',
  unwatch: 'UNWATCH',
  monitor: 'MONITOR',
  unsubscribe: 'UNSUBSCRIBE',
  pUnsubscribe: 'PUNSUBSCRIBE',
  sUnsubscribe: 'SUNSUBSCRIBE',
};

/** Something that commands can be called on: a pool or an isolated connection. */
export abstract class CommandSender {
  /** @internal */
  abstract readonly encoder: Encoder;

  /** @internal Commands that the configuration declares as safe to share. */
  abstract readonly declared: DeclaredCommands;

  /** @internal Sends what passed the guard. */
  abstract send(args: CommandArgs, transform: ReplyTransform | undefined, rule: Rule | undefined): Promise<unknown>;

  /** @internal What has all the keys together: a scan goes over one after the other. */
  async scanned(): Promise<readonly CommandSender[]> {
    return [this];
  }

  /**
   * Sends a command as it is; keys are not prefixed and the reply is not transformed. A command that Lagoon does not know gets a
   * connection of its own, which is closed afterwards; declare it in the configuration (`commands`) to have it share one.
   *
   * @param args the command's name and its arguments.
   * @throws {InvalidArgumentError} if an argument is neither a string nor a Buffer, or a name is not printable ASCII.
   * @throws {CommandRefusedError} if the command would harm other callers.
   */
  sendCommand<T = unknown>(args: readonly RedisArgument[]): Promise<T> {
    try {
      assertCommand(args);
      return this.send(args, undefined, ruleOfRaw(args, this.declared)) as Promise<T>;
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** Gives `prototype` a method for every command of node-redis that it does not have itself. */
export function attachCommands(prototype: CommandSender): void {
  const { methods, modules } = commandNames();
  for (const name of methods) define(prototype, name, typedMethod(name));
  for (const [name, command] of Object.entries(CLIENT_METHODS)) define(prototype, name, refusedMethod(command));
  for (const [name, iterate] of Object.entries(scanIterators())) {
    define(prototype, name, checkedIterator(name, name === 'scanIterator' ? scanAll(iterate) : iterate));
  }
  for (const [name, functions] of Object.entries(modules)) defineModule(prototype, name, functions);
}

function checkedIterator(name: string, iterate: ScanIterator): ScanIterator {
  const signature = signatureOf(name);
  return function (this: object, ...args: unknown[]) {
    if (args.length > signature.free) signature.check(...args);
    return iterate.apply(this, args);
  };
}

/** node-redis's iterator over the keys of one server, for all servers. */
function scanAll(iterate: ScanIterator): ScanIterator {
  return async function* (this: object, ...args: unknown[]) {
    for (const sender of await (this as CommandSender).scanned()) yield* iterate.apply(sender, args);
  };
}

/** Gives `prototype` the one method `name`. */
export function attachCommand(prototype: CommandSender, name: string): void {
  define(prototype, name, typedMethod(name));
}

function define(target: object, name: string, value: unknown): void {
  if (!(name in target)) Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

// `args` is only counted and spread, here and in modules: so it need not exist as an array, which costs as much as all the rest.
function typedMethod(name: string) {
  const signature = signatureOf(name);
  const { free } = signature;
  return function (this: CommandSender, ...args: unknown[]): Promise<unknown> {
    const { encoder } = this;
    try {
      if (args.length > free) signature.check(...args);
      const encoded = (encoder[name] as (...args: unknown[]) => CommandArgs)(...args);
      const rule = ruleOfTyped(encoded);
      if (rule === undefined || rule.kind === 'blocking') assertSendable(encoded);
      return this.send(encoded, encoder.transform, rule);
    } catch (error) {
      return Promise.reject(callError(signature, error as Error, ...args));
    }
  };
}

function defineModule(prototype: CommandSender, module: string, functions: readonly string[]): void {
  // One namespace object per receiver, made at its first use: most callers use no module.
  const namespaces = new WeakMap<CommandSender, object>();
  Object.defineProperty(prototype, module, {
    configurable: true,
    get(this: CommandSender) {
      let namespace = namespaces.get(this);
      if (!namespace) {
        namespace = Object.fromEntries(functions.map((name) => [name, moduleFunction(this, module, name)]));
        namespaces.set(this, namespace);
      }
      return namespace;
    },
  });
}

function moduleFunction(sender: CommandSender, module: string, name: string) {
  const signature = signatureOf(`${module}.${name}`);
  return (...args: unknown[]): Promise<unknown> => {
    const { encoder } = sender;
    try {
      if (args.length > signature.free) signature.check(...args);
      const namespace = encoder[module] as Record<string, (...args: unknown[]) => CommandArgs>;
      const encoded = (namespace[name] as (...args: unknown[]) => CommandArgs)(...args);
      const rule = ruleOfTyped(encoded);
      if (rule === undefined || rule.kind === 'blocking') assertSendable(encoded);
      return sender.send(encoded, encoder.transform, rule);
    } catch (error) {
      return Promise.reject(callError(signature, error as Error, ...args));
    }
  };
}

function refusedMethod(command: string) {
  return async () => {
    throw refusal([command], COMMAND_TABLE[command] as Extract<Rule, { why: string }>);
  };
}
