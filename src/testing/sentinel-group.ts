import { TestingError } from './errors.js';
import type { RedisServer } from './redis-server.js';
import {
  memberRole,
  type SentinelPlan,
  type StartSentinelOptions,
  sentinelPlan,
  sentinelRole,
} from './sentinel-options.js';
import { isAt, lackingIn, type SentinelView, soundReplicas, viewOf } from './sentinel-view.js';
import { awake, ServerGroup } from './server-group.js';

/**
 * Starts a master, its replicas and the sentinels that watch over them, all real processes on ports of 127.0.0.1, and
 * resolves once every sentinel sees every other one and all replicas in order, so that a failover can succeed at once.
 *
 * It fails over within some seconds of the master's end, as `downAfter` is short. All is gone with this process
 * however it ends, as with `startRedis`. It needs Redis 7 or later.
 *
 * ```ts
 * await using group = await startSentinel({ replicas: 1 });
 * await (await group.master()).kill();
 * await group.settled();
 * ```
 *
 * @throws {InvalidArgumentError} for options that cannot be.
 * @throws {TestingError} if there is no `redis-server`, a port is taken, or a server ends instead of answering.
 * @throws {AbortError} if `signal` aborts first.
 */
export async function startSentinel(options: StartSentinelOptions = {}): Promise<SentinelGroup> {
  const plan = sentinelPlan(options);
  const { port, sentinelPort, password, sentinelPassword, args } = options;
  return ServerGroup.start(options, async (group) => {
    const member = (_: unknown, index: number) =>
      group.launch(memberRole(options), {
        ...(port !== undefined && { port: port + index }),
        ...(password !== undefined && { password }),
        ...(args && { args }),
      });
    const sentinel = (_: unknown, index: number) =>
      group.launch(sentinelRole(options), {
        ...(sentinelPort !== undefined && { port: sentinelPort + index }),
        ...(sentinelPassword !== undefined && { password: sentinelPassword }),
      });
    const [servers, sentinels] = await Promise.all([
      Promise.all(Array.from({ length: plan.replicas + 1 }, member)),
      Promise.all(Array.from({ length: plan.sentinels }, sentinel)),
    ]);
    await replicate(group, servers);
    await watch(plan, servers[0] as RedisServer, sentinels);
    const made = new SentinelGroup(group, plan.name, servers, sentinels);
    await made.settled();
    return made;
  });
}

/** Before any sentinel looks: it would see replicas that came later only after a while. */
async function replicate(group: ServerGroup, [master, ...replicas]: RedisServer[]): Promise<void> {
  const { host, port } = master as RedisServer;
  const commands = [
    ['REPLICAOF', host, String(port)],
    ['CONFIG', 'REWRITE'],
  ];
  await Promise.all(replicas.map((replica) => replica.exchange(commands)));
  await group.settle(() => unlinked(master as RedisServer, replicas));
}

async function watch(plan: SentinelPlan, master: RedisServer, sentinels: readonly RedisServer[]): Promise<void> {
  const { name, quorum, monitoring } = plan;
  const commands = [
    ['SENTINEL', 'MONITOR', name, master.host, String(master.port), String(quorum)],
    ['SENTINEL', 'SET', name, ...monitoring.flat()],
  ];
  await Promise.all(sentinels.map((sentinel) => sentinel.exchange(commands)));
}

/** What the servers themselves lack to be a master and its replicas. */
async function unlinked(master: RedisServer, replicas: readonly RedisServer[]): Promise<string | undefined> {
  const [role] = (await master.cli('ROLE')) as string[];
  if (role !== 'master') return `${master.address} is no master yet`;
  const links = await Promise.all(replicas.map(async (replica) => (await replica.cli('ROLE')) as (string | number)[]));
  // ROLE of a replica: 'slave', host, port, state of the link, offset.
  const late = links.findIndex(([, , port, state]) => port !== master.port || state !== 'connected');
  return late < 0 ? undefined : `${replicas[late]?.address} is not linked to ${master.address}`;
}

/** A master, its replicas and their sentinels; made by {@link startSentinel}. */
export class SentinelGroup implements AsyncDisposable {
  /** The name that the sentinels know the master by. */
  readonly name: string;
  /** The master and the replicas; which of them is the master, `master()` says. The first one was, at the start. */
  readonly servers: readonly RedisServer[];
  readonly sentinelServers: readonly RedisServer[];
  readonly #group: ServerGroup;

  /** @internal */
  constructor(
    group: ServerGroup,
    name: string,
    servers: readonly RedisServer[],
    sentinelServers: readonly RedisServer[],
  ) {
    this.#group = group;
    this.name = name;
    this.servers = servers;
    this.sentinelServers = sentinelServers;
  }

  /** `host:port` of every sentinel, as `registerRedisSentinel` takes them. */
  get sentinels(): string[] {
    return this.sentinelServers.map(({ address }) => address);
  }

  /**
   * The master of now, as the first sentinel that runs has it. Sentinels can differ while they fail over: `settled()`
   * waits that out.
   *
   * @throws {TestingError} if no sentinel runs.
   */
  async master(): Promise<RedisServer> {
    return this.#masterIn(await this.#view());
  }

  /** The replicas of now, as that same sentinel has them: not those that are down, not the master. */
  async replicas(): Promise<RedisServer[]> {
    return soundReplicas(await this.#view(), this.servers);
  }

  /**
   * Has a replica take over from the master, which becomes its replica. Resolves to the new master, once it takes
   * writes, every sentinel knows it, and all replicas follow it.
   *
   * @throws {ReplyError} if the sentinels refuse: `NOGOODSLAVE` without a replica, `INPROG` during another failover.
   * @throws {TestingError} if it has not come about after 20 s.
   */
  async failover(): Promise<RedisServer> {
    const view = await this.#view();
    const before = this.#masterIn(view);
    await view.sentinel.cli('SENTINEL', 'FAILOVER', this.name);
    let master = before;
    await this.#group.settle(async () => {
      master = await this.master();
      return master === before ? `${before.address} is still the master` : this.#lacking();
    });
    return master;
  }

  /**
   * Resolves once everything that runs, and is not frozen, is in order: a master that takes writes, replicas that are
   * linked to it, and sentinels that all see the same. To be called after a `kill()`, a `restart()`, a `thaw()`.
   *
   * @throws {TestingError} after 20 s, with what is not in order.
   */
  settled(): Promise<void> {
    return this.#group.settle(() => this.#lacking());
  }

  /** Ends every process (by SIGKILL) and removes the folder. Safe to call again. */
  stop(): Promise<void> {
    return this.#group.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #lacking(): Promise<string | undefined> {
    const [servers, sentinels] = await Promise.all([awake(this.servers), awake(this.sentinelServers)]);
    const views = await Promise.all(sentinels.map((sentinel) => viewOf(sentinel, this.name)));
    const [first] = views;
    if (!first) return 'no sentinel runs';
    const master = this.#masterIn(first);
    if (!servers.includes(master)) return `the master, ${master.address}, does not run`;
    const replicas = servers.filter((server) => server !== master);
    for (const view of views) {
      const lacking = lackingIn(view, master, replicas, sentinels);
      if (lacking !== undefined) return lacking;
    }
    return unlinked(master, replicas);
  }

  async #view(): Promise<SentinelView> {
    const [sentinel] = await awake(this.sentinelServers);
    if (!sentinel) throw new TestingError('LAGOON_TESTING_NOT_RUNNING', 'No sentinel of the group runs');
    return viewOf(sentinel, this.name);
  }

  #masterIn(view: SentinelView): RedisServer {
    const master = this.servers.find((server) => isAt(view.master, server));
    if (master) return master;
    throw new TestingError(
      'LAGOON_TESTING_NOT_RUNNING',
      `No server of the group is ${this.name}, as the sentinels say`,
    );
  }
}
