import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { binary } from './binaries.js'
import { eventually } from './eventually.js'
import { RedisServer } from './redis.js'

export interface SentinelOptions {
  /** How many sentinels. Default: 1. */
  readonly sentinels?: number
  /** The name they know the primary by. Default: `primary`. */
  readonly name?: string
  /** How soon a silent primary counts as down, in milliseconds. Default: 500. */
  readonly downAfter?: number
  /** More arguments for both Redis servers. Default: none. */
  readonly args?: readonly string[]
}

// Shorter than the patience of a test, so that what is waited for is what the test says.
const FORMING = { timeout: 25_000, interval: 50 }

// A sentinel takes a server that calls itself a primary, while another one is known to be, for one that has missed
// its demotion, and demotes it once it has done so for four publish periods.
const BRISK = { 'publish-period': 200 }
// During a planned failover that would be the new primary, at a sentinel that has not heard of it yet: the one that
// leads the failover looks once a second whether its candidate obeyed.
const PATIENT = { 'publish-period': 2000 }

// Sentinels look around every few seconds, and after a pause of the machine they believe nothing for half a minute
// (TILT). Redis 7 lets a test hurry them; an older one takes the time it takes.
const HURRY = {
  ...BRISK,
  'info-period': 200,
  'ask-period': 100,
  'ping-period': 100,
  'tilt-trigger': 60_000,
}

/** One sentinel, with the URL `redis://127.0.0.1:<port>`. */
export class SentinelServer extends RedisServer {
  readonly #settings: string

  constructor(settings: string) {
    super({}, 'sentinel')
    this.#settings = settings
  }

  // A sentinel keeps what it learns in its configuration file, so that a restart knows of past failovers.
  protected override prepare(): void {
    writeFileSync(join(this.folder, 'sentinel.conf'), this.#settings)
  }

  protected override commandLine(): readonly [string, ...string[]] {
    return [
      binary('redis'),
      join(this.folder, 'sentinel.conf'),
      ...[
        '--sentinel',
        '--port',
        String(this.port),
        '--bind',
        this.host,
        '--dir',
        this.folder,
        '--logfile',
        '',
      ],
    ]
  }

  protected override isReady(): boolean {
    return this.hasLogged(/\+monitor master/)
  }

  override async start(): Promise<this> {
    await super.start()
    await this.pace(HURRY)
    return this
  }

  /** Sets how often it does what, in milliseconds. Redis before 7 keeps its own pace. */
  async pace(periods: Readonly<Record<string, number>>): Promise<void> {
    try {
      await this.command('SENTINEL', 'DEBUG', ...Object.entries(periods).flat())
    } catch (error) {
      if (!/unknown subcommand/i.test((error as Error).message)) throw error
    }
  }
}

/** A primary, its replica, and the sentinels that watch over them. */
export class SentinelSetup implements AsyncDisposable {
  constructor(
    /** The name that the sentinels know the primary by. */
    readonly name: string,
    /** Both Redis servers; the first one began as the primary. */
    readonly servers: readonly [RedisServer, RedisServer],
    readonly sentinels: readonly SentinelServer[],
  ) {}

  /** Where a client of sentinels begins. */
  get addresses(): { host: string; port: number }[] {
    return this.sentinels.map(({ host, port }) => ({ host, port }))
  }

  /** The server that the sentinels call the primary now. */
  async primary(): Promise<RedisServer> {
    const ports = await Promise.all(this.#watching().map((sentinel) => this.#portAt(sentinel)))
    const found = this.servers.find(({ port }) => ports.length > 0 && ports.every((each) => each === port))
    if (found === undefined) throw new Error(`The sentinels do not agree on a primary: ${ports.join(', ')}`)
    return found
  }

  async replica(): Promise<RedisServer> {
    return this.#other(await this.primary())
  }

  /** A planned failover. Resolves with the new primary when all sentinels name it and the old one follows it. */
  async failover(): Promise<RedisServer> {
    const next = await this.replica()
    const sentinels = this.#watching()
    await Promise.all(sentinels.map((each) => each.pace(PATIENT)))
    await sentinels[0]?.command('SENTINEL', 'FAILOVER', this.name)
    await this.#promoted(next)
    await Promise.all(sentinels.map((each) => each.pace(BRISK)))
    await eventually(async () => replicates(this.#other(next), next), FORMING)
    return next
  }

  /** SIGKILL to the primary. Resolves with the new one when all sentinels name it. */
  async killPrimary(): Promise<RedisServer> {
    const victim = await this.primary()
    await victim.kill()
    const next = this.#other(victim)
    await this.#promoted(next)
    return next
  }

  /** Waits until the sentinels know each other and a replica that they would promote. */
  async waitUntilReady(): Promise<void> {
    await eventually(async () => {
      const ready = await Promise.all(this.#watching().map((each) => this.#isReady(each)))
      return ready.every(Boolean)
    }, FORMING)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((each) => each.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((each) => each[Symbol.asyncDispose]()))
  }

  async #isReady(sentinel: SentinelServer): Promise<boolean> {
    const primary = pairs(await sentinel.command('SENTINEL', 'MASTER', this.name))
    if (primary.get('num-other-sentinels') !== String(this.sentinels.length - 1)) return false
    const replicas = await sentinel.command('SENTINEL', 'REPLICAS', this.name)
    const states = Array.isArray(replicas) ? replicas.map(pairs) : []
    return states.some((state) => state.get('flags') === 'slave' && state.get('master-link-status') === 'ok')
  }

  #watching(): SentinelServer[] {
    return this.sentinels.filter((each) => each.running && !each.paused)
  }

  #other(server: RedisServer): RedisServer {
    return server === this.servers[0] ? this.servers[1] : this.servers[0]
  }

  async #portAt(sentinel: SentinelServer): Promise<number> {
    const address = await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)
    return Array.isArray(address) ? Number(address[1]) : 0
  }

  async #promoted(next: RedisServer): Promise<void> {
    await eventually(async () => {
      const role = await next.command('ROLE')
      return Array.isArray(role) && role[0] === 'master' && (await this.primary()) === next
    }, FORMING)
  }
}

async function replicates(replica: RedisServer, primary: RedisServer): Promise<boolean> {
  const role = await replica.command('ROLE')
  return Array.isArray(role) && role[0] === 'slave' && role[2] === primary.port && role[3] === 'connected'
}

/** A flat list of names and values, as Redis answers. */
function pairs(reply: unknown): Map<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : []
  return new Map(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? '']] : [])))
}

/** Starts a private primary with one replica and sentinels that fail over within a few seconds. */
export async function startSentinel(options: SentinelOptions = {}): Promise<SentinelSetup> {
  const { sentinels: count = 1, name = 'primary', downAfter = 500, args = [] } = options
  const primary = await new RedisServer({ args }, 'redis-primary').start()
  const replica = new RedisServer(
    { args: ['--replicaof', `${primary.host} ${primary.port}`, ...args] },
    'redis-replica',
  )
  const settings = [
    `sentinel monitor ${name} ${primary.host} ${primary.port} ${Math.floor(count / 2) + 1}`,
    `sentinel down-after-milliseconds ${name} ${downAfter}`,
    `sentinel failover-timeout ${name} 2000`,
    `sentinel parallel-syncs ${name} 1`,
    '',
  ].join('\n')
  const sentinels = Array.from({ length: count }, () => new SentinelServer(settings))
  await replica.start()
  // A sentinel that finds the replica connected at its first look need not wait for the next one.
  await eventually(() => replicates(replica, primary), FORMING)
  await Promise.all(sentinels.map((each) => each.start()))
  const setup = new SentinelSetup(name, [primary, replica], sentinels)
  await setup.waitUntilReady()
  return setup
}
