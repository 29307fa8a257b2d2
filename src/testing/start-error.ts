import { TestingError } from './errors.js';
import { takenPort } from './free-port.js';
import type { ServerExit } from './server-process.js';

/** Why a server ended before it answered, by how it ended and what it wrote to its log. */
export function startError(binary: string, exit: ServerExit, log: string): TestingError {
  const port = takenPort(log);
  if (port !== undefined) {
    return new TestingError(
      'LAGOON_TESTING_PORT_IN_USE',
      `Port ${port} of 127.0.0.1 is taken by another process; leave \`port\` out to get one that is free`,
    );
  }
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
  const tail = log.trimEnd().split('\n').slice(-15).join('\n  ');
  return new TestingError(
    'LAGOON_TESTING_START',
    `${binary} ${how} before it answered. The end of its log:\n  ${tail}`,
  );
}

export function notRunning(): TestingError {
  return new TestingError('LAGOON_TESTING_NOT_RUNNING', 'The Redis server does not run; restart() starts it again');
}
