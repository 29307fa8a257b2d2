import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const exec = promisify(execFile);

/** Node's own errors for a user id without an entry in the password file, which only root could become. */
const NAMELESS = `
  import os from 'node:os';
  import { syncBuiltinESMExports } from 'node:module';
  const fail = () => { throw Object.assign(new Error('uv_os_get_passwd returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' }); };
  Object.assign(os, { userInfo: fail, homedir: fail });
  syncBuiltinESMExports();`;

test('a user without a name and a home can start a server, and is told where none is found', async () => {
  const script = `
    const { findRedisServer, startRedis } = await import('./src/testing/index.ts');
    const server = await startRedis();
    console.log(await server.cli('PING'));
    await server.stop();
    process.env.REDIS_SERVER = '';
    process.env.PATH = '';
    await findRedisServer().catch((error) => console.error(error.message));`;
  const preload = `data:text/javascript,${encodeURIComponent(NAMELESS)}`;
  const args = ['--import', 'tsx', '--import', preload, '--input-type=module', '--eval', script];
  const { stdout, stderr } = await exec(process.execPath, args, { cwd: root });
  expect(stdout).toBe('PONG\n');
  expect(stderr).not.toContain('ENOENT');
});
