import { Deferred } from '../deferred.js';
import type { ScriptCall } from '../pool/script.js';
import { givenBack, type ReleaseReply } from './replies.js';
import type { WaitingRooms } from './waiting-rooms.js';

/** A release: whether the claim was held. Whoever waits in this process learns by the reply that it is his turn. */
export class Releasing extends Deferred<boolean> implements ScriptCall<ReleaseReply> {
  readonly #rooms: WaitingRooms;
  readonly #tag: string;
  readonly #sentAt: number;

  /** `tag`: that of the claim. */
  constructor(rooms: WaitingRooms, tag: string) {
    super();
    this.#rooms = rooms;
    this.#tag = tag;
    // Mostly nobody waits, and looking at the clock takes its time.
    this.#sentAt = rooms.at(tag) ? performance.now() : 0;
  }

  settle(reply: ReleaseReply): void {
    const [held, serverUs, grants] = givenBack(reply);
    if (grants.length > 0) this.#rooms.at(this.#tag)?.deliver(grants, serverUs, this.#sentAt);
    this.resolve(held === 1);
  }

  fail(error: Error): void {
    // The reply that is lost may have told them.
    this.#rooms.at(this.#tag)?.askAllSoon();
    this.reject(error);
  }
}
