import type { RedisArgument } from 'redis';
import { LagoonError } from '../errors.js';
import type { Link } from './link.js';
import type { LinkSocket } from './link-socket.js';
import type { CommandArgs, NodeRedisClient } from './node-redis.js';
import { PendingCommand } from './pending-command.js';

type Queue = ReturnType<NodeRedisClient['_getQueue']>;
type QueueElement = Parameters<Queue['prependCommandsToWrite']>[0][number];

/**
 * One connection of node-redis, and the only place that touches its command queue. We hand the queue our own commands
 * instead of calling `sendCommand`: that spares a promise and several allocations per command, and lets a caller's
 * timeout or abort end that caller's command alone. node-redis marks these methods as internal, so its version is
 * pinned to a patch range and a test checks that they are there.
 */
export class QueueLink implements Link {
  readonly client: NodeRedisClient;
  onLost: ((error: Error) => void) | undefined;
  onClosed: (() => void) | undefined;
  readonly #queue: Queue;
  /** Takes the commands from the queue one by one, encoded, which from then on await their replies. */
  readonly #take: () => Generator<readonly RedisArgument[], void>;
  readonly #socket: LinkSocket;
  #lost: Error | undefined;

  constructor(client: NodeRedisClient, socket: LinkSocket) {
    this.client = client;
    this.#queue = client._getQueue();
    this.#socket = socket;
    client._insertSocket(socket as unknown as Parameters<NodeRedisClient['_insertSocket']>[0]);
    this.#take = this.#queue.commandsToWrite.bind(this.#queue);
    this.#queue.commandsToWrite = (() => coalesced(this.#take())) as Queue['commandsToWrite'];
    client.on('error', (error: Error) => this.destroy(error));
    client.on('end', () => this.destroy(new LagoonError('LAGOON_CONNECTION', 'the connection was closed')));
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  get congested(): boolean {
    return this.#queue.isWaitingToWrite();
  }

  /** Says what comes before all commands, while the client is not ready to send any; gives the answers, one by one. */
  say(commands: readonly CommandArgs[]): Promise<unknown>[] {
    const answers = commands.map((args) => this.#queue.addCommand<unknown>(args));
    this.#socket.write(this.#queue.commandsToWrite());
    return answers;
  }

  write(commands: readonly PendingCommand[]): void {
    const waiting = this.congested ? this.#queue.extractAllCommands() : [];
    // The queue asks for mutable elements of its own type, of which a PendingCommand has every field.
    const all = (waiting.length > 0 ? waiting.concat(commands as never) : commands) as unknown as QueueElement[];
    this.#queue.prependCommandsToWrite(all);
    // Else node-redis does: when the socket has drained, or with what its client itself has to say.
    if (waiting.length > 0 || !this.#socket.takesMore) return;
    if (commands.length === 1) this.#writeOne();
    else this.#socket.write(this.#queue.commandsToWrite());
  }

  // What is alone has nothing to be joined with.
  #writeOne(): void {
    const { value } = this.#take().next();
    if (value) this.#socket.writeChunk(value);
  }

  withdraw(): PendingCommand[] {
    const own: PendingCommand[] = [];
    for (const element of this.#queue.extractAllCommands() as unknown[]) {
      if (element instanceof PendingCommand) own.push(element);
      else (element as QueueElement).reject(this.#lost ?? new Error('the connection was closed'));
    }
    return own;
  }

  dropRejected(): void {
    if (this.congested) this.#queue.prependCommandsToWrite(this.#queue.extractAllCommands());
  }

  onPush(handler: (push: readonly unknown[]) => boolean): void {
    this.#queue.addPushHandler(handler as Parameters<Queue['addPushHandler']>[0]);
  }

  destroy(reason: Error): void {
    if (this.#lost) return;
    this.#lost = reason;
    this.onClosed?.();
    this.onLost?.(reason);
    this.client.destroy();
  }
}

const CHUNK_CHARACTERS = 64 * 1024;

/** Joins the commands of a turn into large chunks: one stream write for each command costs more than encoding it. */
function* coalesced(commands: Iterable<readonly RedisArgument[]>): Generator<RedisArgument[]> {
  let text = '';
  for (const parts of commands) {
    let chunk: RedisArgument[] | undefined;
    for (const part of parts) {
      if (typeof part === 'string') text += part;
      else {
        chunk ??= [];
        chunk.push(text, part);
        text = '';
      }
    }
    // Who writes may stop after any chunk until the socket drains, and take no more of this generator: a chunk ends with
    // a whole command, and nothing is kept back behind it.
    if (chunk || text.length >= CHUNK_CHARACTERS) {
      yield chunk ? [...chunk, text] : [text];
      text = '';
    }
  }
  if (text !== '') yield [text];
}
