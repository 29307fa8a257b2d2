import { channel } from 'node:diagnostics_channel';
import { types } from 'node:util';
import { log } from './debug.js';
import type { QueryEvent, QueryHandler } from './query-event.js';
import { type QueryFilter, resolveFilter, resolveHandler } from './query-filter.js';
import { redactCommand } from './redact.js';
import { redactError } from './redact-error.js';

export type { QueryEvent, QueryHandler } from './query-event.js';
export type { QueryFilter } from './query-filter.js';

/** Name of the `node:diagnostics_channel` on which every {@link QueryEvent} is published. */
export const COMMAND_CHANNEL = 'lagoon:command';

interface Registration {
  readonly handler: (event: QueryEvent) => unknown;
  readonly accepts: (event: QueryEvent) => boolean;
  warned: boolean;
}

const commands = channel(COMMAND_CHANNEL);

/** Tells registered handlers, the diagnostics channel and `DEBUG=lagoon:command` of every command. */
export class QueryLog {
  // Replaced and never changed, so that a handler may register and unregister while an event goes round.
  #registrations: readonly Registration[] = [];
  readonly #debug = log.command;

  /** Whether anybody listens. If not, there is no reason to take the time or to call {@link record}. */
  get active(): boolean {
    // Until DEBUG is set for the first time, debug's `enabled` is undefined.
    return this.#registrations.length > 0 || commands.hasSubscribers || this.#debug.enabled === true;
  }

  /**
   * Calls the handler after every command that the filter lets through.
   *
   * A handler that throws or rejects harms nothing: `DEBUG=lagoon:observe` shows each failure, and the first of a handler
   * is a process warning.
   *
   * @param filter default: every command.
   * @returns a function that unregisters the handler; further calls of it do nothing.
   * @throws {InvalidArgumentError} if the handler is not a function or the filter cannot be right.
   */
  register(handler: QueryHandler, filter?: QueryFilter): () => void {
    const registration = { handler: resolveHandler(handler), accepts: resolveFilter(filter), warned: false };
    this.#registrations = [...this.#registrations, registration];
    return () => {
      this.#registrations = this.#registrations.filter((other) => other !== registration);
    };
  }

  /** Tells everybody who listens of a command that has ended. Never throws. */
  record(pool: string, args: readonly (string | Buffer)[], durationUs: number, error?: Error): void {
    const event = queryEvent(pool, args, durationUs, error);
    for (const registration of this.#registrations) deliver(registration, event);
    // A subscriber that throws becomes an uncaught exception: Node's rule for every channel, outside this call.
    if (commands.hasSubscribers) commands.publish(event);
    if (this.#debug.enabled) this.#print(event);
  }

  #print({ pool, args, durationUs, error }: QueryEvent): void {
    const failure = error ? ` failed: ${error.message}` : '';
    this.#debug('%s: %s (%d µs)%s', pool, args.join(' '), Math.round(durationUs), failure);
  }
}

function queryEvent(pool: string, args: readonly (string | Buffer)[], durationUs: number, error?: Error): QueryEvent {
  const command = redactCommand(args);
  const event = { pool, operation: command.operation, args: Object.freeze(command.args), durationUs };
  return Object.freeze(error ? { ...event, error: redactError(error, command, args) } : event);
}

function deliver(registration: Registration, event: QueryEvent): void {
  try {
    if (!registration.accepts(event)) return;
    const result = registration.handler(event);
    // An async function is a valid handler by its type; its rejection must not end the process.
    if (types.isPromise(result)) result.catch((failure: unknown) => report(registration, failure));
  } catch (failure) {
    report(registration, failure);
  }
}

function report(registration: Registration, failure: unknown): void {
  const reason = failure instanceof Error ? `${failure.name}: ${failure.message}` : typeof failure;
  log.observe('a query handler failed: %s', reason);
  if (registration.warned) return;
  registration.warned = true;
  process.emitWarning(`A query handler failed: ${reason}. DEBUG=lagoon:observe shows further failures of it.`, {
    type: 'LagoonWarning',
    code: 'LAGOON_QUERY_HANDLER',
  });
}
