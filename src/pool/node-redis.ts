import { createClient, type RedisArgument, type RedisClientType, type TypeMapping } from 'redis';
import { KeyPrefix } from './key-prefix.js';
import { unprefixing } from './prefixed-replies.js';

/** The arguments of one command as they go over the wire; `preserve` is what node-redis's encoder keeps for the reply. */
export type CommandArgs = readonly RedisArgument[] & { readonly preserve?: unknown };

/** What node-redis does to a command's raw reply before the caller gets it. */
export type ReplyTransform = (reply: unknown, preserve: unknown, typeMapping?: TypeMapping) => unknown;

/** One command in a MULTI, as node-redis hands it to its executor. */
export interface QueuedCommand {
  readonly args: CommandArgs;
}

type Executor = (commands: readonly QueuedCommand[]) => Promise<unknown[]>;

/** What we rely on of node-redis's MULTI builder. */
export interface MultiBuilder {
  addCommand(args: CommandArgs, transform?: ReplyTransform): this;
  sendCommand(args: readonly RedisArgument[]): this;
  exec(execAsPipeline?: boolean): Promise<unknown>;
  execAsPipeline(): Promise<unknown>;
}

type MultiClass = new (
  executeMulti: Executor,
  executePipeline: Executor,
  typeMapping?: TypeMapping,
  keyPrefix?: string,
) => MultiBuilder;

/** One of node-redis's iterators over a scan. */
export type ScanIterator = (this: object, ...args: unknown[]) => AsyncGenerator<unknown>;

interface Template {
  readonly Multi: MultiClass;
  readonly clientPrototype: Record<string, unknown>;
}

let template: Template | undefined;

// node-redis builds its classes when a client is made, so we make one, never connect it, and keep the classes.
function nodeRedis(): Template {
  if (!template) {
    const client = createClient();
    const clientClass = Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(client)));
    template = { Multi: client.multi().constructor as unknown as MultiClass, clientPrototype: clientClass };
    client.destroy();
  }
  return template;
}

/** The class of node-redis's MULTI builder, with every command and module of node-redis on its prototype. */
export function multiClass(): MultiClass {
  return nodeRedis().Multi;
}

/** node-redis's own scan iterators by name; they only call the matching scan command of their receiver. */
export function scanIterators(): Record<string, ScanIterator> {
  const { clientPrototype } = nodeRedis();
  const names = Object.getOwnPropertyNames(clientPrototype).filter((name) => name.endsWith('Iterator'));
  return Object.fromEntries(names.map((name) => [name, clientPrototype[name] as ScanIterator]));
}

/** Methods of a builder by their camelCase name, and its module namespaces (`json`, `ft` …) with theirs. */
export function commandNames(): { methods: string[]; modules: Record<string, string[]> } {
  const { prototype } = multiClass();
  const methods: string[] = [];
  const modules: Record<string, string[]> = {};
  const probe = Object.create(prototype);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (property.get) modules[name] = camelCaseNames(Object.getPrototypeOf(probe[name]));
    else if (name !== 'constructor' && name !== name.toUpperCase()) methods.push(name);
  }
  return { methods, modules };
}

function camelCaseNames(namespace: object): string[] {
  return Object.keys(namespace).filter((name) => name !== name.toUpperCase());
}

/** A function of an encoder: arguments of the typed method in, arguments of the wire out. */
type Encode = (...args: unknown[]) => CommandArgs;

/**
 * Turns typed calls into wire arguments: node-redis's MULTI builder encodes without the async frame that its client
 * methods have, so we let it build each single command and take what it built.
 */
export interface Encoder {
  /** How to read the reply of the command that was encoded last. */
  transform: ReplyTransform | undefined;
  [method: string]: Encode | Record<string, Encode> | ReplyTransform | undefined;
}

/** An encoder that puts `keyPrefix` before every key and takes it off the keys in replies. */
export function createEncoder(keyPrefix: string): Encoder {
  const encoder = new (multiClass())(notExecuted, notExecuted, undefined, keyPrefix);
  const ownWay = keyPrefix === '' ? taking() : takingPrefixed(new KeyPrefix(keyPrefix));
  return Object.assign(encoder, ownWay) as unknown as Encoder;
}

/** What is put in place of the builder's own way to take a command that a method has encoded. */
interface Taking {
  transform: ReplyTransform | undefined;
  addCommand(args: CommandArgs, transform?: ReplyTransform): CommandArgs;
}

function taking(): Taking {
  return {
    transform: undefined,
    addCommand(args, transform) {
      this.transform = transform;
      return args;
    },
  };
}

function takingPrefixed(prefix: KeyPrefix): Taking {
  return {
    transform: undefined,
    addCommand(args, transform) {
      prefix.complete(args as RedisArgument[]);
      this.transform = unprefixing(args, transform, prefix);
      return args;
    },
  };
}

function notExecuted(): never {
  throw new Error('an encoder does not execute');
}

/** What only a client of node-redis itself can do: it knows which replies are messages. */
export type StreamClient = Pick<
  RedisClientType,
  'subscribe' | 'unsubscribe' | 'pSubscribe' | 'pUnsubscribe' | 'sSubscribe' | 'sUnsubscribe' | 'monitor' | 'on'
>;

/** A client of node-redis as far as we use it: typed methods are ours, so only these remain. */
export type NodeRedisClient = StreamClient &
  Pick<RedisClientType, 'connect' | 'destroy' | 'on' | 'sendCommand' | 'isReady' | '_getQueue' | '_insertSocket'>;
