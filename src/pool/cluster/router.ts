import { sleep, startTimer } from '../../async/timers.js';
import type { ResolvedPool } from '../../config/types.js';
import { CommandTimeoutError } from '../../errors.js';
import { aborted, whenAborted } from '../abort.js';
import type { CommandOptions, PoolCore } from '../core.js';
import type { Intake } from '../intake.js';
import { isDefinite } from '../topology/topology-error.js';
import { NO_SLOT } from './keys.js';
import type { Masters } from './masters.js';
import { redirectOf } from './redirect.js';

/** A command that is sent on and on without a pause is not followed for ever. */
const MOST_REDIRECTS = 16;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 200;

/** One way to send something to a server. `asking`: with ASKING in front; `options`: those of the route, with the time that is left. */
export type Attempt<T> = (server: PoolCore, asking: boolean, options: CommandOptions) => Promise<T>;

/** What is sent, and until when. */
export interface Route {
  /** The slot of its keys, or {@link NO_SLOT} for any server. */
  readonly slot: number;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  readonly options: CommandOptions;
}

/** Finds the server of a slot, and follows the slot when it has moved. */
export class SlotRouter {
  readonly #masters: Masters;
  readonly #intake: Intake;
  readonly #timeoutMs: number;
  readonly #failFast: boolean;

  constructor(masters: Masters, intake: Intake, config: ResolvedPool) {
    this.#masters = masters;
    this.#intake = intake;
    this.#timeoutMs = config.commandTimeoutMs;
    this.#failFast = config.failFast;
  }

  /**
   * Sends to the server of the slot, and again where the reply says that the slot is elsewhere.
   *
   * @param error what the first attempt failed with, if there was one.
   */
  async send<T>(route: Route, attempt: Attempt<T>, error?: unknown): Promise<T> {
    let failure = error;
    // A slot that is on its way for long sends a command to and fro: on, and then back to wait.
    for (let redirects = 0, pauses = 0; ; redirects++) {
      const { server, asking, paused } = await this.#target(route, failure, redirects, pauses);
      if (paused) {
        pauses++;
        redirects = 0;
      }
      try {
        const wholeTimeoutMs = this.#timeoutOf(route);
        return await attempt(server, asking, { ...route.options, timeoutMs: timeLeft(route), wholeTimeoutMs });
      } catch (thrown) {
        failure = thrown;
      }
    }
  }

  /** The server of a slot, as soon as it is known. */
  async server(route: Route): Promise<PoolCore> {
    for (let pauses = 0; ; pauses++) {
      const known = this.#known(route.slot);
      if (known) return known;
      this.#refuse(route);
      await this.#until(route, this.#masters.refresh(), undefined);
      const found = this.#known(route.slot);
      if (found) return found;
      const { problem } = this.#masters;
      if (isDefinite(problem)) throw problem;
      await this.#pause(route, pauses, problem);
    }
  }

  /** Throws why no server is known for a slot, if the command is to fail fast. */
  #refuse({ options }: Route): void {
    const { problem } = this.#masters;
    if (!problem || !(options.failFast ?? this.#failFast)) return;
    void this.#masters.refresh();
    throw problem;
  }

  #known(slot: number): PoolCore | undefined {
    return slot === NO_SLOT ? this.#masters.any() : this.#masters.of(slot);
  }

  async #target(route: Route, error: unknown, redirects: number, pauses: number): Promise<Target> {
    if (error === undefined) return { server: await this.server(route), asking: false, paused: false };
    const redirect = redirectOf(error);
    if (!redirect) throw error;
    if (performance.now() >= route.deadline) throw redirect.kind === 'later' ? error : this.#unsettled(route, error);
    switch (redirect.kind) {
      case 'ask':
        if (redirects > MOST_REDIRECTS) throw error;
        return { server: this.#masters.at(redirect.address), asking: true, paused: false };
      case 'moved':
        if (redirects > MOST_REDIRECTS || redirect.address === undefined) throw error;
        return { server: this.#masters.moved(route.slot, redirect.address), asking: false, paused: false };
      case 'later':
        if (redirect.outdated) void this.#masters.refresh();
        await this.#pause(route, pauses, error);
        return { server: await this.server(route), asking: false, paused: true };
    }
  }

  #pause(route: Route, pauses: number, error: unknown): Promise<void> {
    const ms = Math.min(FIRST_PAUSE_MS * 2 ** pauses, LONGEST_PAUSE_MS);
    return this.#until(route, sleep(ms), error);
  }

  /** Waits for `work`, at most until the deadline, an abort or the closing of the pool. */
  #until(route: Route, work: Promise<unknown>, error: unknown): Promise<void> {
    const { closing } = this.#intake;
    const { signal, whileClosing = false } = route.options;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        settle();
      };
      const onClose = () => end(() => reject(closing.signal.reason));
      const stops = whileClosing ? [] : [whenAborted(closing.signal, onClose)];
      const timer = Number.isFinite(route.deadline)
        ? startTimer(() => end(() => reject(this.#late(route, error))), timeLeft(route))
        : undefined;
      if (signal) stops.push(whenAborted(signal, () => end(() => reject(aborted(signal)))));
      if (closing.signal.aborted && !whileClosing) return onClose();
      if (signal?.aborted) return end(() => reject(aborted(signal)));
      work.then(
        () => end(resolve),
        (reason) => end(() => reject(reason)),
      );
    });
  }

  /** Instead of the redirect, which tells its reader nothing but where the command was sent next. */
  #unsettled(route: Route, cause: unknown): CommandTimeoutError {
    const timeoutMs = this.#timeoutOf(route);
    const why = 'its slot was on its way from one server to another';
    return new CommandTimeoutError(`The command was not executed within ${timeoutMs} ms: ${why}`, timeoutMs, false, {
      cause,
    });
  }

  #late(route: Route, error: unknown): unknown {
    if (error !== undefined) return error;
    const { problem } = this.#masters;
    const timeoutMs = this.#timeoutOf(route);
    const why = problem?.message ?? 'the cluster did not say which server has the key';
    return new CommandTimeoutError(`The command was not sent within ${timeoutMs} ms: ${why}`, timeoutMs, false, {
      cause: problem,
    });
  }

  #timeoutOf({ options }: Route): number {
    return options.wholeTimeoutMs ?? options.timeoutMs ?? this.#timeoutMs;
  }
}

/** Where to send next; `paused`: not before some time had passed. */
interface Target {
  readonly server: PoolCore;
  readonly asking: boolean;
  readonly paused: boolean;
}

function timeLeft({ deadline }: Route): number {
  return Math.max(1, Math.ceil(deadline - performance.now()));
}
