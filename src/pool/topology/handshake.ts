import type { ResolvedPool } from '../../config/types.js';
import type { QueueLink } from '../queue-link.js';
import { given } from './password.js';

/**
 * Says who a pool is, on a new connection to one of its servers, and waits for the answer.
 *
 * @param patienceMs how long a function that gives the password may take.
 */
export async function handshake(
  { username = 'default', password, clientName, database }: ResolvedPool,
  link: QueueLink,
  patienceMs: number,
): Promise<void> {
  const secret = typeof password === 'function' ? await given(password, patienceMs) : password;
  const auth = secret ? ['AUTH', username, secret] : [];
  const needed = [['HELLO', '3', ...auth, 'SETNAME', clientName]];
  if (database !== 0) needed.push(['SELECT', String(database)]);
  const answers = link.say([...needed, ['CLIENT', 'SETINFO', 'LIB-NAME', 'lagoon']]);
  // Redis knows the last since version 7.2, and not every user may say it.
  await Promise.all(answers.map((answer, i) => (i < needed.length ? answer : answer.catch(() => undefined))));
}
