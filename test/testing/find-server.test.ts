import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { find } from '../../src/testing/find-server.js';
import { compiledServer } from '../../src/testing/install/index.js';

describe('findRedisServer', () => {
  let folder: string;
  /** An environment in which nothing of this machine is seen. */
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagoon-find-'));
    env = { PATH: join(folder, 'path'), XDG_CACHE_HOME: join(folder, 'cache') };
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const place = async (path: string, mode = 0o755) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '#!/bin/sh\n');
    await chmod(path, mode);
    return path;
  };

  test('takes REDIS_SERVER, then the PATH, then the usual folders, then a compiled one', async () => {
    const usual = join(folder, 'usual');
    const compiled = await place(compiledServer(env) ?? '');
    expect(await find(env, [usual], undefined)).toBe(compiled);
    const packaged = await place(join(usual, 'redis-server'));
    expect(await find(env, [usual], undefined)).toBe(packaged);
    const onPath = await place(join(folder, 'path', 'redis-server'));
    expect(await find(env, [usual], undefined)).toBe(onPath);
    const named = await place(join(folder, 'named'));
    expect(await find({ ...env, REDIS_SERVER: named }, [usual], undefined)).toBe(named);
  });

  test('takes valkey-server where there is no redis-server', async () => {
    const valkey = await place(join(folder, 'path', 'valkey-server'));
    expect(await find(env, [], undefined)).toBe(valkey);
    const redis = await place(join(folder, 'usual', 'redis-server'));
    expect(await find(env, [join(folder, 'usual')], undefined)).toBe(redis);
  });

  test('passes by what cannot be run', async () => {
    await place(join(folder, 'path', 'redis-server'), 0o644);
    await mkdir(join(folder, 'usual', 'redis-server'), { recursive: true });
    await expect(find(env, [join(folder, 'usual')], undefined)).rejects.toMatchObject({
      code: 'LAGOON_TESTING_NO_BINARY',
    });
  });

  test('says what to do when there is none', async () => {
    const missing = find(env, [], undefined);
    await expect(missing).rejects.toMatchObject({ code: 'LAGOON_TESTING_NO_BINARY', name: 'TestingError' });
    await expect(missing).rejects.toThrow(/apt-get install.*brew install.*set REDIS_SERVER.*install: true/s);
  });

  test('says which path is wrong when REDIS_SERVER is', async () => {
    await expect(find({ ...env, REDIS_SERVER: '/no/such' }, [], undefined)).rejects.toThrow(
      'REDIS_SERVER is "/no/such"',
    );
  });

  test('installs only when asked and needed, and says why that failed', async () => {
    const usual = join(folder, 'usual');
    const installing = await find(env, [usual], async () => {
      await place(join(usual, 'redis-server'));
      return ['the first way failed'];
    });
    expect(installing).toBe(join(usual, 'redis-server'));
    await find(env, [usual], () => Promise.reject(new Error('there is one already')));
    const failing = find(env, [], async () => ['apt-get needs root', 'no compiler']);
    await expect(failing).rejects.toThrow(/apt-get needs root\n.*no compiler\nDo one of these/s);
  });
});
