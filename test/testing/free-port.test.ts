import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from '../../src/testing/free-port.js';
import { claimPort, giveUpPort } from '../../src/testing/port-claims.js';

const run = promisify(execFile);

/** Whether another process could take the port; it ends at once. */
async function isTakenByAnother(port: number): Promise<boolean> {
  const module = new URL('../../src/testing/port-claims.ts', import.meta.url).href;
  const code = `import { claimPort } from '${module}'; console.log(await claimPort(${port}));`;
  const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
  return stdout.trim() === 'true';
}

test('a port that was given is given to nobody else, though nothing listens there', async () => {
  const port = await freePort();
  expect(await claimPort(port)).toBe(false);
  expect(await isTakenByAnother(port)).toBe(false);
  await giveUpPort(port);
  expect(await isTakenByAnother(port)).toBe(true);
});

test('a port of a process that has ended is found to be free', async () => {
  const port = await freePort();
  await giveUpPort(port);
  expect(await isTakenByAnother(port)).toBe(true);
  await giveUpPort(port);
  expect(await claimPort(port)).toBe(false);
  expect(await claimPort(port)).toBe(true);
  await giveUpPort(port);
});
