import type { LagoonError } from '../errors.js';
import type { Connections } from './connections.js';
import { Lane } from './lane.js';
import type { CommandArgs } from './node-redis.js';
import type { PendingCommand } from './pending-command.js';
import { ReplySizes, sizeOf } from './reply-sizes.js';

/** A lane counts as this much busier than the one before it, so that small commands share the first and big ones keep the last. */
const STICKINESS = 64;
/** So many expected bytes weigh as much as one command. */
const BYTES_PER_COMMAND = 1024;

/** The lanes of a pool, and the choice of one for each command by what is outstanding on each. */
export class Lanes {
  readonly #lanes: Lane[];
  readonly #first: Lane;
  /** What is known of big replies; a single lane leaves no choice, so nothing is kept for it. */
  readonly #sizes: ReplySizes | undefined;

  constructor(
    count: number,
    commandTimeoutMs: number,
    connections: Connections,
    settled: (command: PendingCommand, error?: Error) => void,
  ) {
    const sizes = count > 1 ? new ReplySizes() : undefined;
    this.#sizes = sizes;
    this.#lanes = Array.from({ length: count }, () => {
      const lane: Lane = new Lane(commandTimeoutMs, connections, {
        settled,
        ...(sizes && {
          answered(command: PendingCommand, reply: unknown) {
            lane.expectedBytes -= command.expectedBytes;
            if (reply !== undefined) sizes.learn(command.family, sizeOf(reply));
          },
        }),
      });
      return lane;
    });
    this.#first = this.#lanes[0] as Lane;
  }

  get connected(): number {
    return this.#lanes.filter((lane) => lane.connected).length;
  }

  /** Whether every lane that is connected has been silent for as long as a command may take. */
  get areSilent(): boolean {
    return this.#lanes.every((lane) => !lane.connected || lane.isSilent);
  }

  /** An attempt to connect has failed, after `downMs` in which none succeeded. */
  failWaiting(error: Error, downMs: number): void {
    for (const lane of this.#lanes) lane.failWaiting(error, downMs);
  }

  /** Commands in flight or waiting. */
  get size(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.size, 0);
  }

  /** Connections that were lost since the start. */
  get losses(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.losses, 0);
  }

  /** Sends `command` on the lane that will have it answered soonest, and says which. */
  submit(command: PendingCommand, args: CommandArgs, timeoutMs?: number): Lane {
    const lane = this.#sizes ? this.#choose(command, args, this.#sizes) : this.#first;
    lane.submit(command, timeoutMs);
    this.#connectWith(lane);
    return lane;
  }

  /** Sends `commands` one behind the other on one lane. */
  submitTogether(commands: readonly PendingCommand[], timeoutMs?: number): Lane {
    const lane = this.#lightest(false);
    lane.submitTogether(commands, timeoutMs);
    this.#connectWith(lane);
    return lane;
  }

  /** Connects every lane. */
  async connect(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.connect()));
  }

  close(reason: LagoonError): void {
    for (const lane of this.#lanes) lane.close(reason);
  }

  // The lanes come up together: the others would otherwise stay away until the first is busy.
  #connectWith(lane: Lane): void {
    if (!lane.connected && this.#lanes.length > 1) void this.connect();
  }

  #choose(command: PendingCommand, args: CommandArgs, sizes: ReplySizes): Lane {
    const family = sizes.family(args);
    const bytes = sizes.expected(family);
    const lane = this.#lightest(bytes > 0);
    command.family = family;
    command.expectedBytes = bytes;
    lane.expectedBytes += bytes;
    return lane;
  }

  #lightest(big: boolean): Lane {
    const { length } = this.#lanes;
    // One behind the other on the last lane: on several lanes at once they would be ahead of small ones on each of them.
    if (big) return this.#lanes[length - 1] as Lane;
    let best = this.#first;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const lane = this.#lanes[i] as Lane;
      const weight = lane.size + lane.expectedBytes / BYTES_PER_COMMAND + i * STICKINESS;
      if (weight < least) {
        least = weight;
        best = lane;
      }
    }
    return best;
  }
}
