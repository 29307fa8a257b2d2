import { InvalidArgumentError } from '../errors.js';
import { checkOptions } from '../options.js';
import { form, join, lacking } from './cluster-join.js';
import { leave } from './cluster-leave.js';
import { type ClusterPlan, clusterPlan, type StartClusterOptions } from './cluster-options.js';
import { isMaster, mastersOf, type NodeView, ownerOf, SLOTS, viewOf } from './cluster-view.js';
import { TestingError } from './errors.js';
import { checkPorts } from './options.js';
import type { RedisServer } from './redis-server.js';
import { awake, ServerGroup } from './server-group.js';
import { type MoveScene, SlotMove } from './slot-move.js';
import { takeOver } from './take-over.js';

/**
 * Starts a Redis Cluster of real nodes on ports of 127.0.0.1, and resolves once every node serves, knows every other
 * one, and every replica is linked to its master.
 *
 * A master that ends is replaced by its replica within some seconds, as `nodeTimeout` is short. All is gone with this
 * process however it ends, as with `startRedis`. It needs Redis 7 or later.
 *
 * ```ts
 * await using cluster = await startCluster();
 * const owner = await cluster.nodeOf('my-key');
 * const [other] = (await cluster.masters()).filter((master) => master !== owner);
 * await cluster.moveSlot('my-key', other);
 * ```
 *
 * @throws {InvalidArgumentError} for options that cannot be.
 * @throws {TestingError} if there is no `redis-server`, a port is taken, or a node ends instead of answering.
 * @throws {AbortError} if `signal` aborts first.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<RedisCluster> {
  const plan = clusterPlan(options);
  return ServerGroup.start(options, async (group) => {
    const cluster = new RedisCluster(group, plan, options);
    await cluster.form();
    return cluster;
  });
}

/** A running cluster; made by {@link startCluster}. */
export class RedisCluster implements AsyncDisposable {
  readonly #group: ServerGroup;
  readonly #plan: ClusterPlan;
  readonly #options: StartClusterOptions;
  readonly #scene: MoveScene;
  #nodes: readonly RedisServer[] = [];
  #launched = 0;

  /** @internal */
  constructor(group: ServerGroup, plan: ClusterPlan, options: StartClusterOptions) {
    this.#group = group;
    this.#plan = plan;
    this.#options = options;
    this.#scene = { group, nodes: () => this.#nodes, password: options.password };
  }

  /** Every node, whatever it is and whether it runs: those of the start, masters first, then those that were added. */
  get nodes(): readonly RedisServer[] {
    return this.#nodes;
  }

  /** `host:port` of every node, as `registerRedisCluster` takes them. */
  get addresses(): string[] {
    return this.#nodes.map(({ address }) => address);
  }

  /** The masters that run and are not frozen, those without slots among them. */
  async masters(): Promise<RedisServer[]> {
    return mastersOf(await this.#views()).map(({ server }) => server);
  }

  /** The replicas of `master` that run and are not frozen; `master` itself need not run. */
  async replicasOf(master: RedisServer): Promise<RedisServer[]> {
    const views = await this.#views();
    const id = idOf(views, master);
    return views.filter(({ own }) => own.masterId === id).map(({ server }) => server);
  }

  /** The slot of a key. */
  async slotOf(key: string): Promise<number> {
    const [node] = await awake(this.#nodes);
    if (!node) throw noneRuns('no node runs');
    return Number(await node.cli('CLUSTER', 'KEYSLOT', key));
  }

  /**
   * The master that has a key (a string) or a slot (a number).
   *
   * @throws {TestingError} if none that runs has it, as between the end of a master and the failover.
   */
  async nodeOf(keyOrSlot: string | number): Promise<RedisServer> {
    return (await this.#owner(await this.#slot(keyOrSlot))).owner.server;
  }

  /**
   * Moves a slot, given by itself (a number) or by one of its keys, with all its keys to the master `to`, as `redis-cli
   * --cluster reshard` does. Resolves once every running node knows. Nothing is done if it is there already.
   */
  async moveSlot(keyOrSlot: string | number, to: RedisServer): Promise<void> {
    const slot = await this.#slot(keyOrSlot);
    if ((await this.nodeOf(slot)) === to) return;
    const move = await this.startMovingSlot(slot, to);
    await move.finish();
  }

  /**
   * As `moveSlot`, but stops as soon as the slot is on its way: `moveKeys()` and `finish()` of what it gives go on.
   * Until then, what `from` does not have is answered with ASK.
   *
   * @throws {InvalidArgumentError} if `to` is not a master, or has the slot already.
   */
  async startMovingSlot(keyOrSlot: string | number, to: RedisServer): Promise<SlotMove> {
    const slot = await this.#slot(keyOrSlot);
    const { owner, views } = await this.#owner(slot);
    const target = mastersOf(views).find(({ server }) => server === to);
    if (!target) throw new InvalidArgumentError(`Slot ${slot} cannot move to ${to.address}: it is no running master`);
    if (target === owner) throw new InvalidArgumentError(`Slot ${slot} is at ${to.address} already`);
    return SlotMove.start(this.#scene, [slot], owner, target);
  }

  /**
   * Starts one more node, and resolves to it once every running node knows it: a master without slots, for `moveSlot`
   * to give it some, or a replica of `replicaOf`.
   */
  async addNode(options: { replicaOf?: RedisServer } = {}): Promise<RedisServer> {
    checkOptions('addNode', options, { replicaOf: ['master', 'replicaof'] });
    const others = await awake(this.#nodes);
    const node = await this.#launch();
    await join(this.#group, node, others, options.replicaOf);
    this.#nodes = [...this.#nodes, node];
    return node;
  }

  /**
   * Takes a node out of the cluster and ends it. The slots of a master go to the other masters, with their keys, and so
   * do its replicas.
   *
   * @throws {InvalidArgumentError} if it is the last master.
   * @throws {TestingError} if it has slots and does not run.
   */
  async removeNode(node: RedisServer): Promise<void> {
    const views = await this.#views();
    const id = idOf(views, node);
    const rest = views.filter(({ server }) => server !== node);
    await leave(this.#scene, node, id, rest);
    await node.kill();
    await node.stop();
    this.#nodes = this.#nodes.filter((each) => each !== node);
    await this.settled();
  }

  /**
   * Has a replica take over at once: `node`, or the first replica of `node` if that is a master. No write is lost if the
   * master runs; it need not run. Resolves to the new master, once every running node knows.
   *
   * @throws {InvalidArgumentError} if `node` is a master without a running replica.
   */
  async failover(node: RedisServer): Promise<RedisServer> {
    const views = await this.#views();
    const id = idOf(views, node);
    const successor =
      views.find(({ own }) => own.masterId === id) ?? views.find(({ own }) => own.id === id && !isMaster(own));
    if (!successor) throw new InvalidArgumentError(`${node.address} is a master without a running replica`);
    const master = views.find(({ own }) => own.id === successor.own.masterId)?.server;
    await takeOver(this.#group, successor.server, master, () => this.#lacking());
    return successor.server;
  }

  /**
   * Resolves once every node that runs, and is not frozen, serves, knows the others as they are, and is linked to its
   * master. To be called after a `kill()`, a `restart()`, a `thaw()`.
   *
   * @throws {TestingError} after 20 s, with what is not in order.
   */
  settled(): Promise<void> {
    return this.#group.settle(() => this.#lacking());
  }

  /** Ends every node (by SIGKILL) and removes the folder. Safe to call again. */
  stop(): Promise<void> {
    return this.#group.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** @internal */
  async form(): Promise<void> {
    const { nodes, masters } = this.#plan;
    this.#nodes = await Promise.all(Array.from({ length: nodes }, () => this.#launch()));
    await form(this.#group, this.#nodes, masters);
  }

  async #launch(): Promise<RedisServer> {
    const { port, password, args } = this.#options;
    const own = port === undefined ? undefined : port + this.#launched++;
    checkPorts('port', own, 1);
    return this.#group.launch(this.#plan.role, {
      ...(own !== undefined && { port: own }),
      ...(password !== undefined && { password }),
      ...(args && { args }),
    });
  }

  async #slot(keyOrSlot: string | number): Promise<number> {
    if (typeof keyOrSlot === 'string') return this.slotOf(keyOrSlot);
    if (Number.isInteger(keyOrSlot) && keyOrSlot >= 0 && keyOrSlot < SLOTS) return keyOrSlot;
    throw new InvalidArgumentError(`A slot is a whole number from 0 to ${SLOTS - 1}, got ${keyOrSlot}`);
  }

  async #owner(slot: number): Promise<{ owner: NodeView; views: NodeView[] }> {
    const views = await this.#views();
    const owner = ownerOf(views, slot);
    if (owner) return { owner, views };
    throw noneRuns(`no running node has slot ${slot}`);
  }

  async #lacking(): Promise<string | undefined> {
    return lacking(await awake(this.#nodes));
  }

  async #views(): Promise<NodeView[]> {
    return Promise.all((await awake(this.#nodes)).map(viewOf));
  }
}

/** The id of a node, be it running or not. */
function idOf(views: readonly NodeView[], node: RedisServer): string {
  const own = views.find(({ server }) => server === node)?.own;
  const records = own ? [own] : views.flatMap(({ known }) => [...known.values()]);
  const found = records.find(({ port }) => port === node.port);
  if (found) return found.id;
  throw new InvalidArgumentError(`${node.address} is no node of this cluster`);
}

function noneRuns(what: string): TestingError {
  return new TestingError('LAGOON_TESTING_NOT_RUNNING', `The cluster cannot tell: ${what}`);
}
