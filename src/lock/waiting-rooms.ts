import { whenAborted } from '../pool/abort.js';
import type { Requests } from './requests.js';
import type { LockStore } from './store.js';
import { type GiveBack, WaitingRoom } from './waiting-room.js';

/** One waiting room for each slot of a cluster where somebody waits, or has waited; one in all where there are no slots. */
export class WaitingRooms {
  readonly #store: LockStore;
  readonly #requests: Requests;
  readonly #giveBack: GiveBack;
  #only: WaitingRoom | undefined;
  /** By the tags of their slots. There are no more than slots. */
  readonly #ofSlots = new Map<string, WaitingRoom>();

  /** `giveBack`: gives a claim back for which nobody waits any more, in the background. */
  constructor(store: LockStore, requests: Requests, giveBack: GiveBack) {
    this.#store = store;
    this.#requests = requests;
    this.#giveBack = giveBack;
    whenAborted(store.closing, () => {
      this.#only?.close();
      for (const room of this.#ofSlots.values()) room.close();
    });
  }

  /** The room of a slot, if anybody has ever waited there. */
  at(tag: string): WaitingRoom | undefined {
    return tag === '' ? this.#only : this.#ofSlots.get(tag);
  }

  /** The room of a slot. */
  of(tag: string): WaitingRoom {
    const known = this.at(tag);
    if (known) return known;
    const room = new WaitingRoom(this.#store, this.#requests, this.#giveBack, tag);
    if (tag === '') this.#only = room;
    else this.#ofSlots.set(tag, room);
    return room;
  }
}
