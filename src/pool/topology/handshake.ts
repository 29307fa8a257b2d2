import type { ResolvedPool } from '../../config/types.js';
import type { LinkSocket } from '../link-socket.js';
import type { NodeRedisClient } from '../node-redis.js';
import { given } from './password.js';

/**
 * Says who a pool is, on a new connection to one of its servers, and waits for the answer.
 *
 * @param patienceMs how long a function that gives the password may take.
 */
export async function handshake(
  { username = 'default', password, clientName, database }: ResolvedPool,
  client: NodeRedisClient,
  socket: LinkSocket,
  patienceMs: number,
): Promise<void> {
  const secret = typeof password === 'function' ? await given(password, patienceMs) : password;
  const auth = secret ? ['AUTH', username, secret] : [];
  const queue = client._getQueue();
  const said: Promise<unknown>[] = [queue.addCommand(['HELLO', '3', ...auth, 'SETNAME', clientName])];
  if (database !== 0) said.push(queue.addCommand(['SELECT', String(database)]));
  // Redis knows it since version 7.2, and not every user may say it.
  const optional = queue.addCommand(['CLIENT', 'SETINFO', 'LIB-NAME', 'lagoon']);
  said.push((optional as Promise<unknown>).catch(() => undefined));
  socket.write(queue.commandsToWrite());
  await Promise.all(said);
}
