import { LagoonError } from '../../errors.js';

/** The deployment is not what the configuration says it is; trying again would not help. */
export class TopologyError extends LagoonError {
  constructor(message: string, options?: ErrorOptions) {
    super('LAGOON_TOPOLOGY', message, options);
  }
}
