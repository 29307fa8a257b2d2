import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, type RedisPool, Registry } from '../../src/index.js';
import { type RedisServer, startRedis } from '../../src/testing/index.js';
import { connectionsOf } from '../pool/support.js';
import { isLong } from '../support/long.js';
import { inventedLines, isOfTheWholeServer, linesOf, type TableEntry } from './lines.js';
import { serversUnderTest } from './servers.js';

type Args = (string | Buffer)[];

const COMMAND_TIMEOUT_MS = 3_000;
/** What is sent at a time, so that a line that blocks for ever keeps no other waiting. */
const AT_ONCE = 8;
const INVENTED = isLong ? 10_000 : 400;
const SEED = Number(process.env.FUZZ_SEED ?? 1);

/** Everything that takes a raw command. */
const PLACES: readonly [title: string, send: (redis: RedisPool, args: Args) => Promise<unknown>][] = [
  ['on a pool', (r, args) => r.sendCommand(args)],
  ['in multi()', async (r, args) => r.multi().get('fuzz:other').sendCommand(args).exec()],
  ['in a pipeline', async (r, args) => r.multi().get('fuzz:other').sendCommand(args).execAsPipeline()],
  ['in isolated()', (r, args) => r.isolated((own) => own.sendCommand(args))],
];

describe.each(serversUnderTest())('on $name, whatever command a caller sends raw', ({ binary }) => {
  let server: RedisServer;
  let engine: Engine<'default'>;
  let pool: RedisPool;
  let table: TableEntry[];
  let laneIds: ReadonlySet<string>;

  beforeAll(async () => {
    server = await startRedis({ ...(binary && { binary }) });
    engine = new Registry()
      .registerRedis(server.address, 1, 'default', { commandTimeout: COMMAND_TIMEOUT_MS, pool: { lanes: 2, max: 14 } })
      .validate();
    pool = engine.getRedis();
    await engine.connect();
    laneIds = new Set((await connectionsOf(server)).map(({ id = '' }) => id));
    const entries = (await pool.sendCommand<unknown[][]>(['COMMAND'])) ?? [];
    table = entries.flatMap(entriesOf);
  }, 60_000);
  afterAll(async () => {
    await engine?.close({ timeout: 100 });
    await server?.stop();
  });

  /** Three callers that check every reply of theirs, until told to stop. */
  function neighbours() {
    const problems: string[] = [];
    let stopped = false;
    let replies = 0;
    const work = Array.from({ length: 3 }, async (_, own) => {
      while (!stopped) {
        const text = `${own}:${randomBytes(8).toString('hex')}`;
        const startedAt = performance.now();
        try {
          const reply = own === 0 ? await pool.sendCommand(['ECHO', text]) : await pool.echo(text);
          replies++;
          if (reply !== text) problems.push(`asked for ${text}, got ${JSON.stringify(reply)}`);
        } catch (error) {
          problems.push(String(error));
        }
        // The machine may be busy: what is looked for is a wait without end.
        const waited = performance.now() - startedAt;
        if (waited > 2 * COMMAND_TIMEOUT_MS) problems.push(`waited for ${Math.round(waited)} ms`);
      }
    });
    return {
      async stop() {
        stopped = true;
        await Promise.all(work);
        return { problems, replies };
      },
    };
  }

  /** What the server says of the connections of the lanes, without what changes by itself. */
  async function lanes(): Promise<Record<string, string | undefined>[]> {
    const clients = await connectionsOf(server);
    return clients
      .filter(({ id = '' }) => laneIds.has(id))
      .sort((a, b) => Number(a.id) - Number(b.id))
      .map(({ id, name, db, sub, psub, ssub, multi, watch, user, redir, resp, flags, capa }) => ({
        ...{ id, name, db, sub, psub, ssub, watch, user, redir, resp, flags, capa },
        // Valkey says 0 and not -1 once there was a transaction.
        multi: multi === '0' ? '-1' : multi,
      }));
  }

  async function sendAll(lines: Args[], send: (redis: RedisPool, args: Args) => Promise<unknown>): Promise<void> {
    const next = lines.values();
    const one = async () => {
      for (const args of next) {
        // What blocks for ever is ended, and a failure is the caller's own.
        await send(pool.withAbortSignal(AbortSignal.timeout(COMMAND_TIMEOUT_MS / 10)), args).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }

  test.each(PLACES)(
    '%s, its neighbours get what they asked for, and the lanes stay as they are',
    async (_, send) => {
      const before = await lanes();
      const beside = neighbours();
      const lines = table.flatMap(linesOf).filter((args) => !isOfTheWholeServer(args));
      await sendAll(isLong ? lines : lines.filter((_line, i) => i % 5 === i % 4), send);
      await sendAll(inventedLines(INVENTED, SEED), send);
      const { problems, replies } = await beside.stop();
      expect(problems).toEqual([]);
      expect(replies).toBeGreaterThan(100);
      expect(before).toHaveLength(2);
      expect(await lanes()).toEqual(before);
      expect(pool.stats().reconnects).toBe(0);
    },
    1_200_000,
  );
});

function entriesOf(entry: unknown[]): TableEntry[] {
  const [name, arity, , , , , , , , subcommands = []] = entry as [string, number, ...unknown[]];
  const own = { words: String(name).toUpperCase().split('|'), arity: Number(arity) };
  return [own, ...(subcommands as unknown[][]).flatMap(entriesOf)];
}
