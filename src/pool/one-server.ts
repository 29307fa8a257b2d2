import { attachCommand, CommandSender } from './commands.js';
import type { CommandOptions, PoolCore } from './core.js';
import type { DeclaredCommands } from './guard.js';
import type { CommandArgs, Encoder, ReplyTransform } from './node-redis.js';

/** The keys of one server of a cluster, for scanning. */
export class OneServer extends CommandSender {
  /** @internal */
  readonly encoder: Encoder;
  /** @internal */
  readonly declared: DeclaredCommands;
  readonly #server: PoolCore;
  readonly #options: CommandOptions;

  constructor(server: PoolCore, encoder: Encoder, options: CommandOptions) {
    super();
    this.#server = server;
    this.encoder = encoder;
    this.declared = server.config.commands;
    this.#options = options;
  }

  send(args: CommandArgs, transform: ReplyTransform | undefined): Promise<unknown> {
    return this.#server.submit(args, transform, this.#options);
  }
}

attachCommand(OneServer.prototype, 'scan');
