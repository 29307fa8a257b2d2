import { ConnectionError, LagoonError } from '../../errors.js';

/** The deployment is not what the configuration says it is; trying again would not help. */
export class TopologyError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_TOPOLOGY', message, options);
  }
}

/** Whether an error of a connection is one that the next attempt would have too. */
export function isDefinite(error: unknown): boolean {
  return error instanceof TopologyError || (error instanceof ConnectionError && error.cause instanceof TopologyError);
}
