/*
 * What the locks are meant to do, with nothing of how they do it: who holds a key, who waits for it in which order, and who
 * can be told. Redis executes one request after the other, so the whole is a pure function from one state to the next.
 */

/** One who asks. Its kind: exclusive, reader, writer, or one permit of a semaphore. */
export interface Claim {
  readonly id: string;
  readonly process: number;
  readonly kind: 'x' | 'r' | 'w' | 's';
  readonly keys: readonly string[];
}

/** Permits of every semaphore here. */
export const PERMITS = 2;
/** A holder that knows nothing of Lagoon. */
export const STRANGER = 'stranger';

export interface State {
  /** Those who hold each key, in the order in which they got it. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
  /** Those who wait for each key. */
  readonly queues: Readonly<Record<string, readonly string[]>>;
  /** Whether messages reach each process. */
  readonly reachable: readonly boolean[];
  /** Everyone who ever asked. */
  readonly claims: Readonly<Record<string, Claim>>;
}

export type Operation =
  /** Asks once. */
  | { readonly does: 'obtain'; readonly claim: Claim }
  /** Asks, and stays in the queue if need be. */
  | { readonly does: 'wait'; readonly claim: Claim }
  /** Asks anew, not knowing what became of the first time. */
  | { readonly does: 'wait again' | 'release' | 'refresh' | 'leave' | 'leave or keep' | 'expire'; readonly id: string }
  /** Its subscription is gone, or back. */
  | { readonly does: 'lose subscription' | 'subscribe'; readonly process: number }
  /** What other programs do: SET NX PX, and DEL, whoever holds it. */
  | { readonly does: 'intrude' | 'delete'; readonly key: string }
  | { readonly does: 'flush' };

export type Answer =
  /** Now, or before and not known yet. */
  | 'granted'
  /** Granted meanwhile, and kept. */
  | 'kept'
  | 'denied'
  /** Denied, and there is somebody among the holders who tells nobody when he lets go. */
  | 'denied by a stranger'
  | 'yes'
  | 'no'
  | 'done';

export interface Step {
  readonly state: State;
  readonly answer: Answer;
  /** Who learns of a grant otherwise than by the answer. */
  readonly told: readonly string[];
}

export function start(keys: readonly string[], processes: number): State {
  const empty = Object.fromEntries(keys.map((key) => [key, []]));
  return { holders: empty, queues: empty, reachable: Array(processes).fill(true), claims: {} };
}

/** What an operation makes of a state, and what is to be seen of it. */
export function apply(before: State, operation: Operation): Step {
  const state = new Changing(before);
  const answer = perform(state, operation);
  const asker = 'claim' in operation ? operation.claim.id : 'id' in operation ? operation.id : undefined;
  return { state: state.snapshot(), answer, told: state.told.filter((id) => id !== asker) };
}

/** Whether there is any point in an operation: who asks must have asked before, or must not. */
export function applies(state: State, operation: Operation): boolean {
  switch (operation.does) {
    case 'obtain':
    case 'wait':
      return !(operation.claim.id in state.claims);
    case 'expire':
      return Object.values(state.holders).some((holders) => holders.includes(operation.id));
    case 'lose subscription':
      return state.reachable[operation.process] === true;
    case 'subscribe':
      return state.reachable[operation.process] === false;
    case 'intrude':
    case 'delete':
    case 'flush':
      return true;
    default:
      return operation.id in state.claims;
  }
}

function perform(state: Changing, operation: Operation): Answer {
  switch (operation.does) {
    case 'obtain':
      return state.ask(operation.claim, false);
    case 'wait':
      state.asker = operation.claim.process;
      return state.ask(operation.claim, true);
    case 'wait again':
      state.asker = state.claim(operation.id).process;
      return state.ask(state.claim(operation.id), true);
    case 'release':
      return state.giveBack(state.claim(operation.id));
    case 'refresh':
      return state.holds(state.claim(operation.id)) ? 'yes' : 'no';
    case 'leave':
    case 'leave or keep':
      return state.leave(state.claim(operation.id), operation.does === 'leave or keep');
    case 'expire':
      state.drop(operation.id);
      return 'done';
    case 'lose subscription':
    case 'subscribe':
      state.reachable[operation.process] = operation.does === 'subscribe';
      return 'done';
    case 'intrude':
      if (state.holders(operation.key).length > 0) return 'no';
      state.holders(operation.key).push(STRANGER);
      return 'yes';
    case 'delete':
      state.holders(operation.key).length = 0;
      return 'done';
    case 'flush':
      state.forget();
      return 'done';
  }
}

class Changing {
  /** The process that asks: what it must know is in the reply. */
  asker: number | undefined;
  readonly reachable: boolean[];
  readonly told: string[] = [];
  readonly #holders: Record<string, string[]>;
  readonly #queues: Record<string, string[]>;
  readonly #claims: Record<string, Claim>;

  constructor(state: State) {
    this.#holders = copy(state.holders);
    this.#queues = copy(state.queues);
    this.#claims = { ...state.claims };
    this.reachable = [...state.reachable];
  }

  snapshot(): State {
    return { holders: this.#holders, queues: this.#queues, reachable: this.reachable, claims: this.#claims };
  }

  claim(id: string): Claim {
    return this.#claims[id] as Claim;
  }

  holders(key: string): string[] {
    return this.#holders[key] as string[];
  }

  holds({ id, keys }: Claim): boolean {
    return keys.every((key) => this.holders(key).includes(id));
  }

  ask(claim: Claim, waits: boolean): Answer {
    const again = claim.id in this.#claims;
    this.#claims[claim.id] = claim;
    for (const key of claim.keys) this.#handOver(key);
    if (again && this.holds(claim)) return 'granted';
    if (claim.keys.every((key) => this.#queue(key).length === 0 && this.#isVacant(key, claim))) {
      this.#give(claim);
      return 'granted';
    }
    if (waits) for (const key of claim.keys) if (!this.#queue(key).includes(claim.id)) this.#queue(key).push(claim.id);
    return claim.keys.some((key) => this.holders(key).includes(STRANGER)) ? 'denied by a stranger' : 'denied';
  }

  giveBack(claim: Claim): Answer {
    this.asker = claim.process;
    const held = this.holds(claim);
    this.drop(claim.id);
    for (const key of claim.keys) this.#handOver(key);
    return held ? 'yes' : 'no';
  }

  leave(claim: Claim, keep: boolean): Answer {
    for (const key of claim.keys) remove(this.#queue(key), claim.id);
    if (!keep || !this.holds(claim)) return this.giveBack(claim);
    this.asker = claim.process;
    for (const key of claim.keys) this.#handOver(key);
    return 'kept';
  }

  drop(id: string): void {
    for (const holders of Object.values(this.#holders)) remove(holders, id);
  }

  forget(): void {
    for (const list of [...Object.values(this.#holders), ...Object.values(this.#queues)]) list.length = 0;
  }

  /**
   * First in, first out: whoever is first at each of its keys gets them as soon as each is free. The unreachable, who are
   * taken to have been that for long, are passed over when it is their turn, or when somebody behind them could have the key.
   */
  #handOver(key: string): void {
    const id = this.#queue(key)[0];
    if (id === undefined) return;
    const claim = this.claim(id);
    const reachable = this.reachable[claim.process] || this.asker === claim.process;
    const canHave = claim.keys.every((each) => this.#queue(each)[0] === id && this.#isVacant(each, claim));
    const isInTheWay = this.#isVacant(key, { kind: claim.kind === 'w' ? 'r' : claim.kind });
    if (reachable ? !canHave : !isInTheWay) return;
    for (const each of claim.keys) remove(this.#queue(each), id);
    if (reachable) {
      this.#give(claim);
      this.told.push(id);
    }
    for (const each of claim.keys) this.#handOver(each);
  }

  #give({ id, keys }: Claim): void {
    for (const key of keys) this.holders(key).push(id);
  }

  #queue(key: string): string[] {
    return this.#queues[key] as string[];
  }

  #isVacant(key: string, { kind }: Pick<Claim, 'kind'>): boolean {
    const holders = this.holders(key);
    if (kind === 's') return holders.length < PERMITS;
    return holders.length === 0 || (kind === 'r' && holders.every((id) => this.claim(id).kind === 'r'));
  }
}

function copy(lists: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(lists).map(([key, list]) => [key, [...list]]));
}

function remove(list: string[], id: string): void {
  const at = list.indexOf(id);
  if (at >= 0) list.splice(at, 1);
}
