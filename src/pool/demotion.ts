import { ConnectionError, ReplyError } from '../errors.js';
import type { Link } from './link.js';

/** What only a server says that takes no writes (any more). */
const REPLICA_SAYS: ReadonlySet<string> = new Set(['READONLY', 'UNBLOCKED']);

/** Closes `link` if `error` shows that it leads to a server that was demoted: its successor must be found. */
export function closeIfDemoted(link: Link | undefined, error: Error | undefined): void {
  if (!link || !(error instanceof ReplyError) || !REPLICA_SAYS.has(error.replyCode)) return;
  // Not at once: node-redis is reading replies from the connection.
  process.nextTick(() => link.destroy(new ConnectionError('the server is a replica now', false, { cause: error })));
}
