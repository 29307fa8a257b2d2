import { startTimer } from '../../async/timers.js';
import type { PasswordProvider } from '../../config/types.js';
import { rememberSecret } from '../../observe/pool-secrets.js';

/** What a function that gives a password gives within `patienceMs`. */
export async function given(password: PasswordProvider, patienceMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error('the function that gives the password has not answered'));
    timer = startTimer(fail, patienceMs).unref();
  });
  try {
    const answer: unknown = await Promise.race([password(), late]);
    if (typeof answer === 'string') {
      rememberSecret(password, answer);
      return answer;
    }
    throw new Error(
      `the function that gives the password gave no string, but ${answer === null ? 'null' : typeof answer}`,
    );
  } finally {
    clearTimeout(timer);
  }
}
