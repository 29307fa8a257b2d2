import { channel } from 'node:diagnostics_channel';
import { log } from './debug.js';
import type { Feature, QueryEvent, QueryHandler } from './query-event.js';
import { type QueryFilter, resolveFilter, resolveHandler } from './query-filter.js';
import { redactCommand } from './redact.js';
import { redactError } from './redact-error.js';
import { bindUserCallback } from './user-callback.js';

export type { Feature, QueryEvent, QueryHandler } from './query-event.js';
export type { QueryFilter } from './query-filter.js';

/** Name of the `node:diagnostics_channel` on which every {@link QueryEvent} is published. */
export const COMMAND_CHANNEL = 'lagoon:command';

const commands = channel(COMMAND_CHANNEL);

/** Tells registered handlers, the diagnostics channel and `DEBUG=lagoon:command` of every command. */
export class QueryLog {
  // Replaced and never changed, so that a handler may register and unregister while an event goes round.
  #handlers: readonly ((event: QueryEvent) => void)[] = [];
  readonly #debug = log.command;

  /** Whether anybody listens. If not, there is no reason to take the time or to call {@link record}. */
  get active(): boolean {
    // Until DEBUG is set for the first time, debug's `enabled` is undefined.
    return this.#handlers.length > 0 || commands.hasSubscribers || this.#debug.enabled === true;
  }

  /**
   * Calls the handler after every command that the filter lets through.
   *
   * Handler and filter run in the async context in which they are registered. A handler that throws or rejects harms nothing:
   * `DEBUG=lagoon:observe` shows each failure, and the first of a handler is a process warning.
   *
   * @param filter default: every command.
   * @returns a function that unregisters the handler; further calls of it do nothing.
   * @throws {InvalidArgumentError} if the handler is not a function or the filter cannot be right.
   */
  register(handler: QueryHandler, filter?: QueryFilter): () => void {
    const handle = resolveHandler(handler);
    const accepts = resolveFilter(filter);
    const deliver = (event: QueryEvent) => (accepts(event) ? handle(event) : undefined);
    const bound = bindUserCallback('A query handler', deliver, 'LAGOON_QUERY_HANDLER');
    this.#handlers = [...this.#handlers, bound];
    return () => {
      this.#handlers = this.#handlers.filter((other) => other !== bound);
    };
  }

  /** Tells everybody who listens of a command that has ended. Never throws. */
  record(pool: string, args: readonly (string | Buffer)[], durationUs: number, error?: Error, feature?: Feature): void {
    const event = queryEvent(pool, args, durationUs, error, feature);
    for (const handle of this.#handlers) handle(event);
    // A subscriber that throws becomes an uncaught exception: Node's rule for every channel, outside this call.
    if (commands.hasSubscribers) commands.publish(event);
    if (this.#debug.enabled) this.#print(event);
  }

  #print({ pool, feature, args, durationUs, error }: QueryEvent): void {
    const failure = error ? ` failed: ${error.message}` : '';
    const from = feature ? `${pool}, ${feature}` : pool;
    this.#debug('%s: %s (%d µs)%s', from, args.join(' '), Math.round(durationUs), failure);
  }
}

function queryEvent(
  pool: string,
  args: readonly (string | Buffer)[],
  durationUs: number,
  error: Error | undefined,
  feature: Feature | undefined,
): QueryEvent {
  const command = redactCommand(args);
  const sent = { pool, operation: command.operation, args: Object.freeze(command.args), durationUs };
  const event = feature ? { ...sent, feature } : sent;
  return Object.freeze(error ? { ...event, error: redactError(error, command, args) } : event);
}
