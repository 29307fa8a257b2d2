import type { PendingCommand } from './pending-command.js';

/** Commands in the order in which they were sent, as a ring: no allocation per command, and no garbage kept alive. */
export class CommandRing {
  #slots: (PendingCommand | undefined)[] = new Array(64).fill(undefined);
  #head = 0;
  #size = 0;

  /** Commands from the oldest that is still owed a reply to the newest. */
  get size(): number {
    return this.#size;
  }

  /** The oldest command that may be owed a reply. */
  get oldest(): PendingCommand | undefined {
    return this.#size > 0 ? this.#slots[this.#head] : undefined;
  }

  push(command: PendingCommand): void {
    if (this.#size === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#size++) & (this.#slots.length - 1)] = command;
  }

  /** Forgets the oldest commands as far as no reply is owed to them. */
  advance(): void {
    const mask = this.#slots.length - 1;
    while (this.#size > 0 && this.#slots[this.#head]?.replied) {
      this.#slots[this.#head] = undefined;
      this.#head = (this.#head + 1) & mask;
      this.#size--;
    }
  }

  /** The commands, oldest first, in an array of their own. */
  toArray(): PendingCommand[] {
    const mask = this.#slots.length - 1;
    return Array.from({ length: this.#size }, (_, i) => this.#slots[(this.#head + i) & mask] as PendingCommand);
  }

  #grow(): void {
    const commands = this.toArray();
    this.#slots = new Array(commands.length * 2).fill(undefined);
    for (const [i, command] of commands.entries()) this.#slots[i] = command;
    this.#head = 0;
  }
}
