import type { AsyncResource } from 'node:async_hooks';
import { startInterval, startTimer } from '../async/timers.js';
import { CommandTimeoutError, ConnectionError } from '../errors.js';
import type { Link } from './link.js';
import { type CommandOwner, connectionLost, type PendingCommand } from './pending-command.js';
import { ReplyCheck } from './reply-check.js';
import { CommandRing } from './ring.js';
import { Solitude } from './solitude.js';
import { atEndOfTurn } from './turn-end.js';

/** What a pipeline tells of its commands. */
export interface PipelineEvents {
  settled(command: PendingCommand, error?: Error): void;
  answered?(command: PendingCommand, reply: unknown): void;
  /** The link is gone; what was not written waits for the next one. */
  lost?(error: Error): void;
  /** Why there is no link, for commands that wait in vain for one. */
  whyNone?(): Error | undefined;
}

/**
 * Sends commands over a link in their order, many in flight at once, and owns their deadlines.
 *
 * While there is no link, commands wait here. When a link is lost, what was written is rejected and what was not waits for
 * the next link.
 */
export class Pipeline implements CommandOwner {
  readonly #events: PipelineEvents;
  readonly #commandTimeoutMs: number;
  readonly #background: AsyncResource | undefined;
  /** Every command that is owed a reply, oldest first. */
  readonly #owed = new CommandRing();
  /** Commands not yet handed to the link. */
  #backlog: PendingCommand[] = [];
  #link: Link | undefined;
  #lost: Error | undefined;
  #flushScheduled = false;
  readonly #solitude = new Solitude();
  readonly #check: ReplyCheck;
  #turnStartedAt = 0;
  #watch: NodeJS.Timeout | undefined;
  #watchedAt = 0;

  /** `background`: the async context of a pipeline that callers share and that outlives them; its replies are checked while it is busy. */
  constructor(commandTimeoutMs: number, events: PipelineEvents, background?: AsyncResource) {
    this.#commandTimeoutMs = commandTimeoutMs;
    this.#background = background;
    this.#events = events;
    this.#check = new ReplyCheck(() => {
      this.#owed.advance();
      if (this.#backlog.length > 0) this.#scheduleFlush();
    });
  }

  /** Commands that are owed a reply. */
  get size(): number {
    return this.#owed.size;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Sends `command` with all that is asked for in this turn of the event loop, or when there is a link. */
  submit(command: PendingCommand, timeoutMs = this.#commandTimeoutMs): void {
    command.owner = this;
    this.#enqueue(command, timeoutMs);
  }

  /** Sends a PING behind what was submitted; a reply that went to the wrong command is found by it, and ends the connection. */
  checkReplies(): void {
    if (this.#check.isUnderWay || !this.#link) return;
    this.#enqueue(this.#check.begin(this), this.#commandTimeoutMs);
  }

  #enqueue(command: PendingCommand, timeoutMs: number): void {
    this.#owed.push(command);
    this.#backlog.push(command);
    const atOnce = !this.#flushScheduled && this.#openTurn();
    command.timeoutMs = timeoutMs;
    command.deadline = this.#turnStartedAt + timeoutMs;
    if (timeoutMs < this.#commandTimeoutMs) this.#expireAlone(command);
    else if (!this.#watch) this.#startWatch();
    if (atOnce) this.#flush(false);
  }

  /** As {@link submit}, of commands that are to go out together. */
  submitTogether(commands: readonly PendingCommand[], timeoutMs?: number): void {
    if (commands.length > 1) this.#solitude.end();
    for (const command of commands) this.submit(command, timeoutMs);
  }

  /** From now on commands go over `link`. */
  attach(link: Link): void {
    this.#link = link;
    this.#lost = undefined;
    link.onLost = (error) => this.#detach(error);
    if (link.lost) this.#detach(link.lost);
    else this.#scheduleFlush();
  }

  /** Rejects what waits for a link. */
  failBacklog(error: Error): void {
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const command of backlog) this.#drop(command, error);
    this.#owed.advance();
  }

  /** Whether the oldest command was sent and has waited for longer than a command may: the server answers nothing. */
  get isSilent(): boolean {
    const { oldest } = this.#owed;
    if (!oldest?.done || oldest.replied || !oldest.written) return false;
    return performance.now() >= oldest.deadline - oldest.timeoutMs + this.#commandTimeoutMs;
  }

  /**
   * An attempt to connect has failed: rejects the commands that do not wait for another. Those are the ones that are told to fail
   * fast, and those that could not have waited for as long as the server is away.
   */
  failWaiting(error: Error, downMs: number): void {
    if (this.#link || this.#backlog.length === 0) return;
    const waits = (command: PendingCommand) =>
      !command.failFast && downMs < (command.wholeTimeoutMs ?? command.timeoutMs);
    const over = this.#backlog.filter((command) => !waits(command));
    this.#backlog = this.#backlog.filter(waits);
    for (const command of over) this.#drop(command, error);
    this.#owed.advance();
  }

  /** Ends one command for its caller now; it is not sent if it was not yet written. */
  abandon(command: PendingCommand, error: Error): void {
    command.fail(error);
    this.#unsend([command]);
  }

  /** Ends everything: commands that wait and commands in flight are rejected, the link is destroyed. */
  destroy(reason: Error): void {
    this.#link?.destroy(reason);
    for (const command of this.#owed.toArray()) if (!command.replied) this.#drop(command, reason);
    this.#backlog = [];
    this.#owed.advance();
    this.#stopWatch();
  }

  answered(command: PendingCommand, reply: unknown): void {
    this.#owed.advance();
    if (reply !== undefined) {
      if (command.expects !== undefined && !command.expects(reply)) this.outOfStep(command);
      else if (this.#check.isUnderWay && this.#check.isMeantBy(reply)) this.outOfStep(command);
    }
    this.#events.answered?.(command, reply);
    // The socket was congested when the backlog was last looked at; a reply says that it drains.
    if (this.#backlog.length > 0) this.#scheduleFlush();
  }

  /** Ends the connection, on which `command` was answered with what cannot be its reply: the replies of all others are in doubt too. */
  outOfStep(command: PendingCommand): void {
    const reason = new ConnectionError('a reply came that belongs to another command', true);
    command.fail(connectionLost(command, reason));
    this.#link?.destroy(reason);
  }

  settled(command: PendingCommand, error?: Error): void {
    this.#events.settled(command, error);
  }

  /**
   * Whether what opens the turn is to be written at once, because it is likely to be all. Where no reply is owed, Redis has nothing
   * to do and is not kept waiting: what is asked for in this tick is written behind it. What comes while replies are owed is
   * gathered for longer: everything that is read in one turn shares a write.
   */
  #openTurn(): boolean {
    if (this.#owed.size > 1 || !this.#link) {
      this.#scheduleFlush();
      return false;
    }
    this.#beginTurn();
    if (this.#solitude.isLikely) return true;
    atEndOfTurn('write', this.#flushNow);
    return false;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#beginTurn();
    setImmediate(this.#flush, this.#link?.congested ?? false);
  }

  #beginTurn(): void {
    this.#flushScheduled = true;
    this.#turnStartedAt = performance.now();
  }

  #flush = (wasCongested: boolean): void => {
    this.#flushScheduled = false;
    const link = this.#link;
    if (this.#backlog.length === 0 || !link || (wasCongested && link.congested)) return;
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#solitude.sent(backlog.length, this.#owed.size - backlog.length);
    link.write(backlog);
  };

  #flushNow = (): void => this.#flush(false);

  #detach(error: Error): void {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    this.#lost = error;
    const unwritten = link.withdraw();
    const cut = (command: PendingCommand) => command.chain?.written ?? false;
    this.#backlog = unwritten.concat(this.#backlog).filter((command) => {
      // A transaction of which the beginning was written cannot go on over another connection.
      if (cut(command)) this.#drop(command, connectionLost(command, error));
      return !command.replied;
    });
    this.#owed.advance();
    this.#events.lost?.(error);
  }

  #drop(command: PendingCommand, error: Error): void {
    this.#neverSent(command);
    command.fail(error);
  }

  // Only of a command for which no reply will come: nobody may be given the reply of another.
  #neverSent(command: PendingCommand): void {
    command.rejected = true;
    command.replied = true;
    this.#events.answered?.(command, undefined);
  }

  #unsend(commands: readonly PendingCommand[]): void {
    // The rest of a transaction must follow its beginning, or the connection would be left inside a MULTI.
    const unsendable = commands.filter((command) => !command.written && !command.chain?.written);
    if (unsendable.length === 0) return;
    for (const command of unsendable) this.#neverSent(command);
    this.#backlog = this.#backlog.filter((command) => !command.rejected);
    this.#link?.dropRejected();
    this.#owed.advance();
  }

  #startWatch(): void {
    const intervalMs = Math.max(1, Math.floor(this.#commandTimeoutMs / 25));
    this.#watchedAt = performance.now();
    // What arrived while the event loop was busy is read before the watch looks: timers come before I/O, immediates after.
    const watch = () => startInterval(() => setImmediate(() => this.#expire(intervalMs)), intervalMs);
    this.#watch = this.#background ? this.#background.runInAsyncScope(watch) : watch();
  }

  #stopWatch(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #expire(intervalMs: number): void {
    const now = performance.now();
    const late = now - this.#watchedAt > 2 * intervalMs;
    this.#watchedAt = now;
    if (this.#owed.size === 0) {
      this.#stopWatch();
      return;
    }
    // A process that was itself stopped for a while gives the replies one more interval to be read.
    if (late) return;
    if (this.#background) this.checkReplies();
    const owed = this.#owed.toArray();
    const expired = owed.filter((command) => !command.done && command.deadline <= now);
    for (const command of expired) command.fail(this.#timedOut(command));
    this.#unsend(expired);
    this.#giveUp(owed[0], now);
  }

  /** A connection that owes a reply for as long again as its command could wait is taken for dead. */
  #giveUp(oldest: PendingCommand | undefined, now: number): void {
    if (!oldest?.written || oldest.replied || now < oldest.deadline + this.#commandTimeoutMs) return;
    const silence = Math.round(now - oldest.deadline + oldest.timeoutMs);
    this.#link?.destroy(new ConnectionError(`no reply for ${silence} ms`, true));
  }

  #expireAlone(command: PendingCommand): void {
    const timer = startTimer(() => {
      setImmediate(() => {
        if (!command.done) this.abandon(command, this.#timedOut(command));
      });
    }, command.timeoutMs);
    const stop = () => clearTimeout(timer);
    command.promise.then(stop, stop);
    if (!this.#watch) this.#startWatch();
  }

  #timedOut(command: PendingCommand): CommandTimeoutError {
    const { written, wholeTimeoutMs: timeoutMs = command.timeoutMs } = command;
    const cause = written || this.#link ? undefined : this.#events.whyNone?.();
    const fate = written ? 'it was sent and may have been executed' : 'it was not sent';
    const message = `No reply to the command within ${timeoutMs} ms; ${fate}${cause ? `: ${cause.message}` : ''}`;
    return new CommandTimeoutError(message, timeoutMs, written, { cause });
  }
}
