/* The process behind `startContender`: a locker that obtains and releases as its parent says. */
import { type Lock, Registry } from '../../src/index.js';

export type ContenderRequest =
  | { obtain: [key: string | string[], ttl: number, waitTimeout: number] }
  | { release: number };

export interface ContenderReply {
  handle?: number;
  fence?: number;
  released?: boolean;
  error?: string;
}

const config = { pools: { default: JSON.parse(process.argv[2] as string) } };
const locker = Registry.fromConfig(config).validate().getRedis().getLocker();
const locks: Lock[] = [];

async function answer(request: ContenderRequest): Promise<ContenderReply> {
  if ('release' in request) return { released: (await locks[request.release]?.release()) === true };
  const lock = await locker.obtain(...request.obtain);
  return lock ? { handle: locks.push(lock) - 1, fence: lock.fence } : {};
}

process.on('message', async ({ id, ...request }: ContenderRequest & { id: number }) => {
  const reply = await answer(request as ContenderRequest).catch((error) => ({ error: String(error) }));
  process.send?.({ id, ...reply });
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
