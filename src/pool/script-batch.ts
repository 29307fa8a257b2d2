import { ErrorReply, type RedisArgument } from 'redis';
import { aborted, whenAborted } from './abort.js';
import { BatchPacing } from './batch-pacing.js';
import type { CommandOptions } from './core.js';
import { isKeyRefused, replyError } from './reply-error.js';
import {
  encodeArguments,
  encodeKeys,
  evalsha,
  evaluate,
  type Script,
  type ScriptArgument,
  type ScriptCall,
  type ScriptTarget,
  type SharedPart,
  scriptOptions,
} from './script.js';
import { repliesOf } from './script-replies.js';
import { atEndOfTurn } from './turn-end.js';

/** A call of a batch. */
interface BatchedCall extends ScriptCall {
  /** It was aborted. */
  over?: boolean;
}

/** The calls that share one script call. */
interface Batch {
  readonly calls: BatchedCall[];
  /** What the calls share, and behind it what each of them has. */
  readonly keys: RedisArgument[];
  readonly args: RedisArgument[];
  /** Whether all calls have the usual arguments, which `args` then has none of. */
  usual: boolean;
}

/**
 * Gathers the calls of one script that are made in one turn of the event loop into shared script calls. One that is likely to
 * be alone in its turn is sent at once, by itself.
 */
export class ScriptBatcher {
  readonly #core: ScriptTarget;
  readonly #pacing: BatchPacing;
  readonly #script: Script;
  readonly #most: number;
  readonly #options: CommandOptions;
  readonly #flushSoon = () => this.#flush();
  /** What is sent at the end of this turn; calls are added to the last. */
  #batches: Batch[] = [];
  /** What the calls of the last batch share, as it was given and as it is sent. */
  #shared: SharedPart | undefined;
  #sharedKeys: RedisArgument[] = [];
  #sharedArgs: RedisArgument[] = [];

  /** @param options of each script call. */
  constructor(core: ScriptTarget, script: Script, most: number, options: CommandOptions = {}) {
    this.#core = core;
    this.#pacing = BatchPacing.of(core);
    this.#script = script;
    this.#most = most;
    this.#options = scriptOptions(script, options);
  }

  /** A call, and how it ended. An aborted one is not sent, or its reply is dropped if it was. */
  run(
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    signal?: AbortSignal,
    shared?: SharedPart,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    return new Promise((resolve, reject) => {
      const call: BatchedCall = { settle: resolve, fail: reject };
      if (this.#pacing.isSolitary)
        this.#sendAlone(keys, args, call, shared, signal ? { ...this.#options, signal } : this.#options);
      else {
        const batch = this.#gather(keys, args, call, shared);
        if (signal) this.#watch(batch, call, signal);
      }
    });
  }

  /**
   * A call whose maker is told how it ended.
   *
   * @throws {InvalidArgumentError} if a key or an argument cannot be sent.
   */
  add(
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall,
    shared: SharedPart | undefined,
  ): void {
    if (this.#pacing.isSolitary) this.#sendAlone(keys, args, call, shared, this.#options);
    else this.#gather(keys, args, call, shared);
  }

  #sendAlone(
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall,
    shared: SharedPart | undefined,
    options: CommandOptions,
  ): void {
    if (shared !== this.#shared) this.#share(shared);
    const allKeys = encodeKeys(keys, this.#core.config.keyPrefix, this.#sharedKeys.slice());
    const allArgs = this.#sharedArgs.slice();
    if (args !== this.#script.usual) encodeArguments(args, allArgs);
    const command = evalsha(this.#script, allKeys, allArgs);
    this.#pacing.sent(1);
    const use = (reply: unknown) => {
      this.#pacing.answered(nothing);
      deliver([call], reply, () => command);
    };
    const fail = (error: Error) => {
      this.#pacing.answered(nothing);
      call.fail(error);
    };
    void evaluate(this.#core, this.#script, command, options, use, fail);
  }

  /** Adds one call to this turn's batch. */
  #gather(
    keys: readonly RedisArgument[],
    args: readonly ScriptArgument[],
    call: ScriptCall,
    shared: SharedPart | undefined,
  ): Batch {
    if (shared !== this.#shared) this.#share(shared);
    const batch = this.#batchWithRoom();
    if (batch.usual && args !== this.#script.usual) this.#spellOut(batch);
    // Arguments first: a key that cannot be sent then takes nothing back but itself and them.
    const argsBefore = batch.args.length;
    if (!batch.usual) encodeArguments(args, batch.args);
    try {
      encodeKeys(keys, this.#core.config.keyPrefix, batch.keys);
    } catch (error) {
      batch.args.length = argsBefore;
      throw error;
    }
    batch.calls.push(call);
    return batch;
  }

  #share(shared: SharedPart | undefined): void {
    const keys = shared ? encodeKeys(shared.keys, this.#core.config.keyPrefix, []) : [];
    this.#sharedArgs = shared ? encodeArguments(shared.args, []) : [];
    this.#sharedKeys = keys;
    this.#shared = shared;
    if (this.#batches.length > 0) this.#addBatch();
  }

  #batchWithRoom(): Batch {
    const last = this.#batches.at(-1);
    if (last && last.calls.length < this.#most) return last;
    if (!last) atEndOfTurn('send', this.#flushSoon);
    return this.#addBatch();
  }

  #addBatch(): Batch {
    const usual = this.#script.usual !== undefined;
    const batch = { calls: [], keys: this.#sharedKeys.slice(), args: this.#sharedArgs.slice(), usual };
    this.#batches.push(batch);
    return batch;
  }

  // One call is not as usual: now those before it have to say that they are.
  #spellOut(batch: Batch): void {
    const { usual = [] } = this.#script;
    batch.usual = false;
    for (let i = 0; i < batch.calls.length; i++) encodeArguments(usual, batch.args);
  }

  #flush(): void {
    const batches = this.#batches;
    this.#batches = [];
    for (const batch of batches) if (batch.calls.length > 0) this.#send(batch);
  }

  #send(batch: Batch): void {
    const { calls, keys, args } = batch;
    this.#pacing.sent(calls.length);
    const use = (replies: unknown) =>
      this.#pacing.answered(() => deliver(calls, replies, (i) => this.#commandOf(batch, i)));
    const fail = (error: Error) =>
      this.#pacing.answered(() => {
        if (calls.length > 1 && isKeyRefused(error)) this.#sendEach(batch);
        else for (const call of calls) call.fail(error);
      });
    void evaluate(this.#core, this.#script, evalsha(this.#script, keys, args), this.#options, use, fail);
  }

  // Of some keys of a batch its user may use only some: whose they are must not be the trouble of the others.
  #sendEach(batch: Batch): void {
    for (const [i, call] of batch.calls.entries()) {
      if (!call.over)
        this.#send({ calls: [call], keys: this.#keysOf(batch, i), args: this.#argsOf(batch, i), usual: batch.usual });
    }
  }

  #keysOf({ calls, keys }: Batch, i: number): RedisArgument[] {
    return partOf(keys, this.#script.keys ?? 0, calls.length, i);
  }

  #argsOf({ calls, args, usual }: Batch, i: number): RedisArgument[] {
    return partOf(args, usual ? 0 : (this.#script.args ?? 0), calls.length, i);
  }

  /** One call of a batch as it would have been sent alone. */
  #commandOf(batch: Batch, i: number): RedisArgument[] {
    return evalsha(this.#script, this.#keysOf(batch, i), this.#argsOf(batch, i));
  }

  #watch(batch: Batch, call: BatchedCall, signal: AbortSignal): void {
    const { settle, fail } = call;
    const stop = whenAborted(signal, () => {
      call.over = true;
      const waits = this.#batches.includes(batch);
      if (waits) this.#remove(batch, call);
      fail(aborted(signal, !waits));
    });
    call.settle = (reply) => {
      stop();
      settle(reply);
    };
    call.fail = (error) => {
      stop();
      fail(error);
    };
  }

  #remove(batch: Batch, call: BatchedCall): void {
    const { keys = 0, args = 0 } = this.#script;
    const { length } = batch.calls;
    const index = batch.calls.indexOf(call);
    batch.calls.splice(index, 1);
    batch.keys.splice(batch.keys.length - (length - index) * keys, keys);
    if (!batch.usual) batch.args.splice(batch.args.length - (length - index) * args, args);
  }
}

/** What all of so many calls share, and what belongs to one of them. */
function partOf(all: readonly RedisArgument[], own: number, calls: number, i: number): RedisArgument[] {
  const shared = all.length - calls * own;
  return [...all.slice(0, shared), ...all.slice(shared + i * own, shared + (i + 1) * own)];
}

function deliver(calls: readonly BatchedCall[], reply: unknown, commandOf: (i: number) => RedisArgument[]): void {
  let replies: unknown[];
  try {
    replies = repliesOf(reply, calls.length);
  } catch (error) {
    for (const call of calls) call.fail(error as Error);
    return;
  }
  for (let i = 0; i < calls.length; i++) {
    const own = replies[i];
    if (own instanceof ErrorReply) (calls[i] as BatchedCall).fail(replyError(own, commandOf(i)));
    else (calls[i] as BatchedCall).settle(own);
  }
}

function nothing(): void {}
