import { compileServer } from './compile.js';
import { installPackage } from './packages.js';

export { compiledServer } from './compile.js';

/**
 * Tries what this machine offers, one way after the other, until one works.
 *
 * @returns why each way that was tried did not work; whether a server is there now is for the caller to see.
 */
export async function installRedisServer(): Promise<string[]> {
  const failures: string[] = [];
  for (const attempt of [installPackage, compileServer]) {
    try {
      if (await attempt()) return failures;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  return failures;
}
