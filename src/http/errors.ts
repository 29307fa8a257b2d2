import { LagoonError } from '../errors.js';

/** The framework does not know the address of a client whose requests are limited by it; the request was not let through. */
export class ClientAddressUnknownError extends LagoonError {
  constructor() {
    super(
      'LAGOON_CLIENT_ADDRESS_UNKNOWN',
      'The address of the client is not known: the connection is gone or is no TCP connection. Behind a proxy on a unix socket ' +
        'let the framework trust that proxy; otherwise say with `key` what to limit by',
    );
  }
}
