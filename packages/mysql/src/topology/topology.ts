import { failoverChannel } from '../channels.js'
import type { PoolOptions } from '../options.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import type { Position } from './position.js'
import { type Role, type Sample, ServerMonitor } from './server-monitor.js'

export interface FailoverEvent {
  readonly node: string
  readonly from: string
  readonly to: string
}

/** How many positions of the primary are remembered, to tell a replica's lag from where it is. */
const SAMPLES = 240
/** A server that is only busy answers within this. In milliseconds. */
const LEAST_PATIENCE = 500
/** Milliseconds in which further refusals of writes are taken for the echo of the first. */
const RENEW_PAUSE = 500

/** Router over the servers: finds the one for writes and those that may serve a read, and follows a change of roles. */
export class Topology {
  /** Whether there is a choice for reads. */
  readonly hasReplicas: boolean
  readonly #options: PoolOptions
  readonly #reads: Exclude<PoolOptions['reads'], false> | undefined
  readonly #all: readonly ServerMonitor[]
  readonly #changed: (event: FailoverEvent) => void
  readonly #samples: Sample[] = []
  #writer: ServerMonitor
  #timer: NodeJS.Timeout | undefined
  #probing: Promise<void> | undefined
  #renewedAt = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(nodes: readonly ServerPool[], options: PoolOptions, changed: (event: FailoverEvent) => void) {
    this.#options = options
    this.#reads = options.reads === false || nodes.length === 1 ? undefined : options.reads
    this.hasReplicas = this.#reads !== undefined
    this.#all = nodes.map((node) => new ServerMonitor(node, (one) => this.#turned(one)))
    this.#writer = this.#all[0]!
    this.#changed = changed
    if (this.#reads !== undefined) {
      this.#timer = setInterval(() => void this.probe(), this.#reads.probe).unref()
      void this.probe()
    }
  }

  /** Takes the writes. */
  get writer(): ServerPool {
    return this.#writer.node
  }

  /** State, role and position of each server. */
  states(): { node: string; state: string; role: Role; lagMs: number | undefined; position: string }[] {
    return this.#all.map((one) => ({
      node: one.node.name,
      state: this.#stateOf(one),
      role: one.role,
      lagMs: one.lag,
      position: String(one.position),
    }))
  }

  /**
   * Where to read what must have come up to `position`: a replica that has it; or one that gets it within the budget;
   * or the primary.
   */
  reader(position: Position | undefined): ServerPool | Promise<ServerPool> {
    const reads = this.#reads
    if (reads === undefined) return this.writer
    const fit: ServerMonitor[] = []
    const there: ServerMonitor[] = []
    for (const one of this.#all) {
      if (!this.#serves(one)) continue
      fit.push(one)
      if (position !== undefined && one.has(position)) there.push(one)
    }
    if (there.length > 0) return pick(there).node
    if (fit.length === 0) return this.#withoutReplicas()
    // Without a known position, reads go to the primary.
    if (position === undefined || reads.wait === 0) return this.writer
    const candidate = pick(fit)
    return candidate.reaches(position, reads.wait).then((has) => (has ? candidate.node : this.writer))
  }

  /** Another server for a read that failed on this one, and must see what has come up to `position`. */
  another(failed: ServerPool, position: Position | undefined): ServerPool | undefined {
    if (this.#all.length === 1) return failed.reachable ? failed : undefined
    if (failed !== this.writer && !this.#writer.down) return this.writer
    if (position === undefined) return undefined
    const others = this.#all.filter((one) => one.node !== failed && !one.down && one.has(position))
    return others.length > 0 ? pick(others).node : undefined
  }

  /** It refused a write, so the roles have changed. */
  async readOnly(node: ServerPool): Promise<void> {
    const one = this.#all.find((watched) => watched.node === node)
    const now = this.#options.clock.now()
    if (one === undefined || now - this.#renewedAt < RENEW_PAUSE) return
    this.#renewedAt = now
    if (one.role !== 'read-only') this.#announce(one, 'writable', 'read-only')
    one.role = 'read-only'
    // Connections are opened anew, by name: behind that may be another server now.
    node.renew()
    await this.probe()
  }

  /** All connections to it are gone. What it had may be gone too, so it is asked before it serves a read again. */
  lost(node: ServerPool): void {
    const one = this.#all.find((watched) => watched.node === node)
    if (one === undefined || this.#reads === undefined || this.#closed) return
    one.measured = false
    void this.probe()
  }

  /** A connection to it failed, or works again. */
  reachable(node: ServerPool, yes: boolean): void {
    const one = this.#all.find((watched) => watched.node === node)
    if (one === undefined || this.#reads === undefined) return
    if (!yes) one.down = true
    else if (one.down) void this.probe()
  }

  /** What a server that went down was to do, others do, as far as they may. */
  #turned(one: ServerMonitor): void {
    if (this.#closed) return
    this.#announce(one, one.down ? 'up' : 'down', one.down ? 'down' : 'up')
    if (one.down) one.node.leave()
  }

  /** Asks all servers how they are; those who call meanwhile get the same answer. */
  probe(): Promise<void> {
    this.#probing ??= this.#probeAll().finally(() => {
      this.#probing = undefined
    })
    return this.#probing
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const one of this.#all) one.close()
  }

  async #probeAll(): Promise<void> {
    if (this.#closed) return
    const { probe = 0, patience = Math.max(LEAST_PATIENCE, 2 * probe) } = this.#reads ?? {}
    const before = this.#all.map(({ role }) => role)
    await Promise.all(this.#all.map((one) => one.probe(patience)))
    if (this.#closed) return
    this.#measure()
    for (const [i, one] of this.#all.entries()) {
      if (before[i] === 'read-only' && one.role === 'writable') this.#promoted(one)
    }
    this.#followDemotion()
  }

  /** Remembers where the primary is, and reads from that how far behind the others are. */
  #measure(): void {
    const now = this.#options.clock.now()
    const writer = this.#writer
    if (!writer.down && !writer.position.empty) {
      this.#samples.push({ at: now, position: writer.position })
      if (this.#samples.length > SAMPLES) this.#samples.shift()
    }
    for (const one of this.#all) if (one !== writer && !one.down) one.measure(this.#samples, now)
  }

  /** It was read-only and is writable now: it was promoted. */
  #promoted(one: ServerMonitor): void {
    this.#announce(one, 'read-only', 'writable')
    if (one === this.#writer) return
    if (this.#writer.down || this.#writer.role === 'read-only') this.#follow(one)
  }

  /** The primary takes no writes any more, and exactly one other server does. */
  #followDemotion(): void {
    if (this.#writer.down || this.#writer.role !== 'read-only') return
    const writable = this.#all.filter((one) => !one.down && one.role === 'writable')
    if (writable.length === 1) this.#follow(writable[0]!)
  }

  #follow(one: ServerMonitor): void {
    const from = this.#writer.node.name
    this.#writer = one
    this.#samples.length = 0
    failoverChannel.publish(() => ({
      pool: this.#options.name,
      node: one.node.name,
      from,
      to: one.node.name,
    }))
    this.#changed({ node: one.node.name, from: `writes to ${from}`, to: `writes to ${one.node.name}` })
  }

  #announce(one: ServerMonitor, from: string, to: string): void {
    const node = one.node.name
    failoverChannel.publish(() => ({ pool: this.#options.name, node, from, to }))
    this.#changed({ node, from, to })
  }

  #serves(one: ServerMonitor): boolean {
    return one !== this.#writer && one.measured && this.#stateOf(one) === 'up' && one.node.reachable
  }

  #stateOf(one: ServerMonitor): 'up' | 'lagging' | 'down' {
    if (one.down) return 'down'
    const maxLag = this.#reads?.maxLag ?? Number.POSITIVE_INFINITY
    return one.lag !== undefined && one.lag > maxLag ? 'lagging' : 'up'
  }

  /** The primary, unless it is down and a replica is left, be it behind: reads go on. */
  #withoutReplicas(): ServerPool {
    if (!this.#writer.down) return this.writer
    const left = this.#all.filter((one) => !one.down && one !== this.#writer)
    return left.length > 0 ? pick(left).node : this.writer
  }
}

/** The less busy of two at random (Mitzenmacher, "The Power of Two Choices", 2001). */
function pick(all: readonly ServerMonitor[]): ServerMonitor {
  if (all.length === 1) return all[0]!
  const first = all[Math.floor(Math.random() * all.length)]!
  const second = all[Math.floor(Math.random() * all.length)]!
  return load(second) < load(first) ? second : first
}

function load({ node }: ServerMonitor): number {
  return (node.active + node.waiting) / node.limit
}
