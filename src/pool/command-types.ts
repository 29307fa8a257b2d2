import type { RedisArgument, RedisClientType, TypeMapping } from 'redis';
import type { IsolatedMethod, RefusedMethod } from './command-table.js';

/** Replies as node-redis types them, by RESP type; `{}` for its defaults. */
// biome-ignore lint/complexity/noBannedTypes: node-redis spells "no mapping" as `{}`, and only that type gives its default replies
export type DefaultTypeMapping = {};

type Client<TM extends TypeMapping> = RedisClientType<
  DefaultTypeMapping,
  DefaultTypeMapping,
  DefaultTypeMapping,
  3,
  TM
>;

// `ReturnType` of a generic method takes the constraint of its type parameter, which makes node-redis's builder `any`.
declare function typedMulti<TM extends TypeMapping>(client: Client<TM>): ReturnType<typeof client.multi<'typed'>>;

type BuilderMethod = keyof ReturnType<typeof typedMulti<DefaultTypeMapping>>;

type CommandMethod = Exclude<
  Extract<keyof RedisClientType, BuilderMethod>,
  Uppercase<string> | 'sendCommand' | 'select'
>;
type IteratorMethod = Extract<keyof RedisClientType, `${string}Iterator`>;
type PoolMethod = Exclude<CommandMethod, RefusedMethod | IsolatedMethod> | IteratorMethod;
type BuilderCommand = Exclude<
  Extract<keyof RedisClientType, BuilderMethod>,
  'sendCommand' | 'select' | 'SELECT' | RefusedMethod | IsolatedMethod | Uppercase<RefusedMethod | IsolatedMethod>
>;
type OwnMethod = Exclude<CommandMethod, RefusedMethod> | IteratorMethod;

/** The modules of Redis whose commands are grouped: `redis.json.get()`, `redis.ft.search()`. */
export type ModuleName = 'bf' | 'cf' | 'cms' | 'ft' | 'json' | 'tDigest' | 'topK' | 'ts';

/** The commands of one module of Redis. */
export type ModuleCommands<Module extends ModuleName, TM extends TypeMapping = DefaultTypeMapping> = {
  [K in keyof Client<TM>[Module]]: Client<TM>[Module][K];
};

/** Every command of node-redis, its modules and scan iterators, as far as they can share a connection. */
export type PoolCommands<TM extends TypeMapping = DefaultTypeMapping> = {
  [K in keyof Client<TM> as K extends PoolMethod ? K : never]: CommandOf<K, TM>;
};

/** Every command of node-redis that a connection of one's own may have. */
export type IsolatedCommands<TM extends TypeMapping = DefaultTypeMapping> = {
  [K in keyof Client<TM> as K extends OwnMethod ? K : never]: CommandOf<K, TM>;
};

type CommandOf<K extends keyof Client<TM>, TM extends TypeMapping> = K extends ModuleName
  ? ModuleCommands<K, TM>
  : K extends UnnamedReply
    ? WithPlainReply<Client<TM>[K]>
    : OmitThis<Client<TM>[K]>;

/** Commands whose reply node-redis types by names that it does not export, which no declaration of a user's could repeat. */
type UnnamedReply =
  | 'command'
  | 'commandInfo'
  | 'getBit'
  | 'hExpire'
  | 'hpExpire'
  | 'hpExpireAt'
  | 'setBit'
  | 'xAckDel'
  | 'xDelEx';

type WithPlainReply<F> = F extends (...args: infer Args) => Promise<infer Reply>
  ? (...args: Args) => Promise<Plain<Reply>>
  : never;

/** The same type written out: what makes another type of it and back again loses its name. */
type Plain<T> = [T] extends [string | undefined]
  ? PlainText<Extract<T, string>> | Extract<T, undefined>
  : [T] extends [number]
    ? PlainNumber<T>
    : T extends Set<infer Member>
      ? Set<Plain<Member>>
      : { [K in keyof T]: Plain<T[K]> };

type PlainText<T extends string> = string extends T ? T : Uncapitalize<Capitalize<T>>;

type PlainNumber<T extends number> = number extends T ? T : `${T}` extends `${infer N extends number}` ? N : T;

/** The iterators ask for a client of node-redis as `this`, of which they only use the scan commands. */
type OmitThis<F> = F extends (this: infer This, ...args: infer A) => infer R
  ? unknown extends This
    ? F
    : (...args: A) => R
  : F;

/**
 * The builder of `multi()`: gathers commands and types the reply of each.
 *
 * The variances are stated because the compiler cannot work them out: each command leads to the same type with one more reply.
 */
export interface MultiCommands<
  in out TM extends TypeMapping = DefaultTypeMapping,
  in out Replies extends unknown[] = [],
> extends MultiExecution<Replies>,
    MultiMethods<TM, Replies> {}

type MultiMethods<TM extends TypeMapping, Replies extends unknown[]> = {
  [K in BuilderCommand]: K extends ModuleName
    ? MultiModuleCommands<K, TM, Replies>
    : Gathered<K extends UnnamedReply ? WithPlainReply<Client<TM>[K]> : Client<TM>[K], TM, Replies>;
};

/** The commands of one module of Redis in a builder. */
export type MultiModuleCommands<
  Module extends ModuleName,
  TM extends TypeMapping = DefaultTypeMapping,
  Replies extends unknown[] = [],
> = {
  [K in keyof Client<TM>[Module]]: Gathered<Client<TM>[Module][K], TM, Replies>;
};

type Gathered<F, TM extends TypeMapping, Replies extends unknown[]> = F extends (
  ...args: infer Args
) => Promise<infer Reply>
  ? (...args: Args) => MultiCommands<TM, [...Replies, Reply]>
  : never;

/** What a builder has beside the commands. */
export interface MultiExecution<Replies extends unknown[]> {
  /** Adds a command as it is: keys are not prefixed, and its reply is neither transformed nor typed. */
  sendCommand(args: readonly RedisArgument[]): this;
  /** Adds a command as it is, with a function that transforms its reply. */
  addCommand(args: readonly RedisArgument[], transformReply?: (reply: never) => unknown): this;
  /**
   * Sends everything in one MULTI; the replies are in the order of the commands. `exec<'typed'>()` types them.
   *
   * @param execAsPipeline whether to send it without MULTI; default `false`.
   * @throws {TransactionConflictError} if a watched key has changed.
   * @throws {TransactionError} if a command answered with an error.
   */
  exec<Kind extends 'generic' | 'typed' = 'generic'>(execAsPipeline?: boolean): Promise<MultiReplies<Kind, Replies>>;
  /** Sends everything in one MULTI, with the replies typed. */
  execTyped(execAsPipeline?: boolean): Promise<Replies>;
  /** Sends everything without MULTI. `execAsPipeline<'typed'>()` types the replies. */
  execAsPipeline<Kind extends 'generic' | 'typed' = 'generic'>(): Promise<MultiReplies<Kind, Replies>>;
  /** Sends everything without MULTI, with the replies typed. */
  execAsPipelineTyped(): Promise<Replies>;
}

type MultiReplies<Kind extends 'generic' | 'typed', Replies extends unknown[]> = Kind extends 'typed'
  ? Replies
  : unknown[];
