import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * Runs a module of this folder in a process of its own. It gets `task` as its first message, and answers each message with one.
 *
 * @param {string} module
 * @param {object} task
 */
export async function startChild(module, task) {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), { serialization: 'advanced' });
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`${module} ended with ${code}`);
  });
  died.catch(() => {});
  const ask = async (message) => {
    const answer = once(child, 'message');
    child.send(message);
    const [reply] = await Promise.race([answer, died]);
    return reply;
  };
  const first = await ask(task);
  return { first, ask, kill: () => child.kill('SIGKILL') };
}
