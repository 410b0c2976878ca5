import { eventually } from './eventually.js'
import { freePort } from './ports.js'
import { type RedisOptions, RedisServer } from './redis.js'

export interface RedisClusterOptions {
  /** Default: 3, the least that can agree on a failover. */
  readonly masters?: number
  /** Replicas of each master. Default: 0. */
  readonly replicas?: 0 | 1
  /** `cluster-node-timeout`: how soon a node that is silent counts as down, in milliseconds. Default: 1000. */
  readonly nodeTimeout?: number
  /** The password of every node. Default: none. */
  readonly password?: string
  /** More arguments for every node. Default: none. */
  readonly args?: readonly string[]
}

const SLOTS = 16_384
const FORMING = { timeout: 20_000, interval: 50 }

/** One node. Its bus listens on the port 10,000 above. */
export class RedisClusterNode extends RedisServer {
  constructor(options: RedisOptions) {
    super(options, 'redis-cluster')
  }

  protected override findPort(): Promise<number> {
    return freePort({ withBus: true })
  }
}

interface View {
  readonly node: RedisClusterNode
  readonly id: string
  readonly master: boolean
  /** The id of its master, when it is a replica. */
  readonly follows: string
}

/** A private Redis Cluster. */
export class RedisCluster implements AsyncDisposable {
  constructor(readonly nodes: readonly RedisClusterNode[]) {}

  /** Where a cluster client begins. */
  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ host, port }) => ({ host, port }))
  }

  /** The nodes that run and are masters now. */
  async masters(): Promise<RedisClusterNode[]> {
    return (await this.#views()).filter(({ master }) => master).map(({ node }) => node)
  }

  /** The running replicas of a master. */
  async replicasOf(master: RedisClusterNode): Promise<RedisClusterNode[]> {
    const views = await this.#views()
    const id = views.find(({ node }) => node === master)?.id
    return views.filter(({ follows }) => follows === id).map(({ node }) => node)
  }

  /** Waits until every running node says that the cluster serves all slots. */
  async waitUntilOk(): Promise<void> {
    await eventually(async () => {
      const infos = await Promise.all(this.#running().map((node) => node.command('CLUSTER', 'INFO')))
      return infos.every((info) => /cluster_state:ok/.test(String(info)))
    }, FORMING)
  }

  /** A planned failover: the replica of `master` (default: the first) takes over without loss. Returns the new master. */
  async failover(master?: RedisClusterNode): Promise<RedisClusterNode> {
    const [, replica] = await this.#pair(master)
    await replica.command('CLUSTER', 'FAILOVER')
    return this.#promoted(replica)
  }

  /**
   * SIGKILL to a master (default: the first). With a replica it waits until that has taken over, and returns it;
   * without, it returns at once.
   */
  async killMaster(master?: RedisClusterNode): Promise<RedisClusterNode | undefined> {
    const victim = master ?? (await this.masters())[0]
    if (victim === undefined) throw new Error('No master runs')
    const [replica] = await this.replicasOf(victim)
    await victim.kill()
    return replica && this.#promoted(replica)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()))
  }

  async #pair(master?: RedisClusterNode): Promise<[RedisClusterNode, RedisClusterNode]> {
    const from = master ?? (await this.masters())[0]
    const [replica] = from === undefined ? [] : await this.replicasOf(from)
    if (from === undefined || replica === undefined)
      throw new Error('A failover needs a replica: { replicas: 1 }')
    return [from, replica]
  }

  /** Not only the replica itself, all others must have heard of it: a client asks any of them. */
  async #promoted(replica: RedisClusterNode): Promise<RedisClusterNode> {
    const id = String(await replica.command('CLUSTER', 'MYID'))
    await eventually(async () => {
      const tables = await Promise.all(this.#running().map((node) => node.command('CLUSTER', 'NODES')))
      return tables.every((table) =>
        new RegExp(`^${id} \\S+ (myself,)?master .* \\d+-\\d+`, 'm').test(String(table)),
      )
    }, FORMING)
    await this.waitUntilOk()
    return replica
  }

  #running(): RedisClusterNode[] {
    return this.nodes.filter((node) => node.running && !node.paused)
  }

  /** How each node sees itself. */
  #views(): Promise<View[]> {
    return Promise.all(
      this.#running().map(async (node) => {
        const table = String(await node.command('CLUSTER', 'NODES'))
        const own = table.split('\n').find((line) => line.includes('myself')) ?? ''
        const [id = '', , flags = '', follows = ''] = own.split(' ')
        return { node, id, master: flags.includes('master'), follows }
      }),
    )
  }
}

/** Starts a private Redis Cluster, and waits until all its nodes agree that it is complete. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { masters: count = 3, replicas = 0, nodeTimeout = 1000, password, args = [] } = options
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeout), ...args]
  const nodes = Array.from(
    { length: count * (1 + replicas) },
    () => new RedisClusterNode({ args: own, password }),
  )
  await Promise.all(nodes.map((node) => node.start()))
  const cluster = new RedisCluster(nodes)
  const masters = nodes.slice(0, count)
  await Promise.all(
    nodes.map(async (node, i) => {
      // Epochs that differ from the start spare the nodes the settling of a tie.
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
      if (i < count) await node.command('CLUSTER', 'ADDSLOTS', ...slotsOf(i, count))
    }),
  )
  const first = nodes[0]
  if (first === undefined) throw new RangeError('A cluster has at least one master')
  for (const node of nodes.slice(1)) await first.command('CLUSTER', 'MEET', node.host, node.port)
  await eventually(async () => {
    const tables = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'NODES')))
    return tables.every((table) =>
      nodes.every(({ port }) => new RegExp(`:${port}@\\S+ \\S*(master|slave)\\b`).test(String(table))),
    )
  }, FORMING)
  await Promise.all(
    nodes.slice(count).map(async (node, i) => {
      await node.command('CLUSTER', 'REPLICATE', String(await masters[i % count]?.command('CLUSTER', 'MYID')))
      await eventually(
        async () => /master_link_status:up/.test(String(await node.command('INFO', 'replication'))),
        FORMING,
      )
    }),
  )
  await cluster.waitUntilOk()
  return cluster
}

function slotsOf(index: number, masters: number): number[] {
  const from = Math.floor((SLOTS * index) / masters)
  const to = Math.floor((SLOTS * (index + 1)) / masters)
  return Array.from({ length: to - from }, (_, i) => from + i)
}
