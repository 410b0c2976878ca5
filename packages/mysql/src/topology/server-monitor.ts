import type { DriverConnection } from '../connection/driver-connection.js'
import { ControlConnection } from '../server-pool/control-connection.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import { Position } from './position.js'

export type Role = 'unknown' | 'writable' | 'read-only'

/** Where the primary was at a time. */
export interface Sample {
  readonly at: number
  readonly position: Position
}

// The second is what tells a reader of Aurora from its writer.
const ROLE = 'SELECT @@read_only AS admins, @@innodb_read_only AS engine'

/** Some versions answer with a word. */
function isOn(value: unknown): boolean {
  return !/^(0|OFF|false)$/i.test(String(value))
}

interface Report {
  readonly readOnly: boolean
  readonly position: Position | undefined
}

/**
 * Health monitor of one server: whether it answers, whether it takes writes, which position it has reached. Asked on a
 * connection of its own, so that a busy pool is never taken for a dead server.
 */
export class ServerMonitor {
  readonly #side: ControlConnection
  role: Role = 'unknown'
  /** It has at least this. */
  position = Position.START
  /**
   * Milliseconds behind the primary; `undefined` when the primary's position is not known, `Infinity` when the server has
   * none of those it is known to have had: it was just set up, or has not caught up since we know it.
   */
  lag: number | undefined
  /** It has answered, and its lag was worked out since. Before that nothing is known of it, and it serves no read. */
  measured = false
  #asked = Position.START
  /** What {@link has} said yes to last: the next read of the same session asks for the same. */
  #hadLast = Position.START
  #waiting: Promise<void> | undefined
  /** The connection it was asked on: behind another one may be another server, without what this one had. */
  #askedOn: DriverConnection | undefined
  /** When the primary was where this server is, as far as is known. */
  #currentAt: number | undefined

  readonly #turned: (server: ServerMonitor) => void
  #down = false

  /** @param turned is told when the server goes down, or comes back */
  constructor(
    readonly node: ServerPool,
    turned: (server: ServerMonitor) => void,
  ) {
    this.#side = new ControlConnection(node.sideSettings)
    this.#turned = turned
  }

  /** It did not answer the last probe, or accepts no connection. */
  get down(): boolean {
    return this.#down
  }

  set down(down: boolean) {
    if (down === this.#down) return
    this.#down = down
    this.#turned(this)
  }

  /** Asks it how it is. Never rejects. A connection that was lost since the last time is no answer, so it is asked again. */
  async probe(timeout: number): Promise<void> {
    const until = this.node.clock.now() + timeout
    const before = this.#side.connection
    try {
      const { readOnly, position } = await this.#report(timeout).catch((error: unknown) => {
        const left = until - this.node.clock.now()
        if (before === undefined || this.#side.connection !== undefined || left <= 0) throw error
        return this.#report(left)
      })
      if (this.#side.connection !== this.#askedOn) this.#forget()
      this.#askedOn = this.#side.connection
      this.down = false
      this.role = readOnly ? 'read-only' : 'writable'
      if (position !== undefined) this.position = this.position.merge(position)
    } catch {
      this.#forget()
      this.down = true
    }
  }

  /** Whether it is known to have everything up to there. */
  has(position: Position): boolean {
    if (position === this.#hadLast) return true
    if (!this.position.covers(position)) return false
    this.#hadLast = position
    return true
  }

  /** Finds out how far it is behind, from where the primary was at which time. */
  measure(samples: readonly Sample[], now: number): void {
    const latest = samples.at(-1)
    const reached = samples.findLast(({ position }) => this.position.covers(position))
    this.#currentAt = reached?.at ?? this.#currentAt
    if (latest === undefined) this.lag = undefined
    else if (reached === latest) this.lag = 0
    else this.lag = this.#currentAt === undefined ? Number.POSITIVE_INFINITY : now - this.#currentAt
    this.measured = true
  }

  async #report(timeout: number): Promise<Report> {
    const flavour = this.#side.connection?.flavour
    if (flavour === undefined) {
      await this.#side.ask('SELECT 1 AS up', timeout)
      if (this.#side.connection === undefined) throw new Error('it closed the connection')
    }
    const position =
      this.#side.connection?.flavour === 'mariadb' ? '@@gtid_current_pos' : '@@global.gtid_executed'
    try {
      const rows = await this.#side.ask(`${ROLE}, ${position} AS position`, timeout)
      const [row] = rows as [{ admins: unknown; engine: unknown; position: unknown }]
      return { readOnly: isOn(row.admins) || isOn(row.engine), position: Position.had(String(row.position)) }
    } catch (error) {
      // It answers, and knows no positions.
      if (this.#side.connection !== undefined)
        return { readOnly: this.role === 'read-only', position: undefined }
      throw error
    }
  }

  /**
   * Whether it has everything up to `position`, waiting for that at most `budget` milliseconds. All who wait share one
   * question at a time to the server.
   */
  async reaches(position: Position, budget: number): Promise<boolean> {
    const until = this.node.clock.now() + budget
    this.#asked = this.#asked.merge(position)
    while (!this.position.covers(position)) {
      const left = until - this.node.clock.now()
      if (left <= 0 || this.#down || !this.measured) return false
      this.#waiting ??= this.#wait(this.#asked, budget).finally(() => {
        this.#waiting = undefined
      })
      await this.#waiting
    }
    return true
  }

  async #wait(position: Position, budget: number): Promise<void> {
    try {
      const rows = await this.#side.ask(position.waitStatement(budget), budget + this.node.options.killGrace)
      const [row] = rows as [{ state: unknown }]
      if (Number(row.state) === 0) this.position = this.position.merge(position)
      // Something that it will not have soon must not hold up what others ask for.
      else this.#asked = Position.START
    } catch {
      // Slow or gone: the next probe tells. Until then it serves no read.
      this.#forget()
    }
  }

  #forget(): void {
    this.position = Position.START
    this.#hadLast = Position.START
    this.lag = undefined
    this.measured = false
    this.#currentAt = undefined
  }

  close(): void {
    this.#side.close()
  }
}
