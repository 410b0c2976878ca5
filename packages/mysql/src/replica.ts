import type { MysqlNode } from './node.js'
import { Position } from './position.js'
import { SideLink } from './side-link.js'

export type Role = 'unknown' | 'writable' | 'read-only'

interface Report {
  readonly readOnly: boolean
  readonly position: Position | undefined
}

/**
 * A server as seen from outside its pool: whether it answers, whether it takes writes, how far it has come. Asked on a
 * connection of its own, so that a busy pool is never taken for a dead server.
 */
export class Watched {
  readonly #side: SideLink
  role: Role = 'unknown'
  /** It did not answer the last probe. */
  down = false
  /** It has at least this. */
  position = Position.START
  /** Milliseconds behind the primary; `undefined` when that is not known. */
  lag: number | undefined
  /** How often it answered in a row. */
  answers = 0
  #asked = Position.START
  #waiting: Promise<void> | undefined

  constructor(readonly node: MysqlNode) {
    this.#side = new SideLink(node.sideSettings)
  }

  /** Asks it how it is. Never rejects. */
  async probe(timeout: number): Promise<void> {
    try {
      const { readOnly, position } = await this.#report(timeout)
      this.down = false
      this.answers++
      this.role = readOnly ? 'read-only' : 'writable'
      if (position !== undefined) this.position = this.position.merge(position)
    } catch {
      this.down = true
      this.answers = 0
      // It may come back as another server, without what it had.
      this.position = Position.START
      this.lag = undefined
    }
  }

  async #report(timeout: number): Promise<Report> {
    const flavour = this.#side.link?.flavour
    if (flavour === undefined) {
      await this.#side.ask('SELECT 1 AS up', timeout)
      if (this.#side.link === undefined) throw new Error('it closed the connection')
    }
    const position = this.#side.link?.flavour === 'mariadb' ? '@@gtid_current_pos' : '@@global.gtid_executed'
    try {
      const rows = await this.#side.ask(`SELECT @@read_only AS readOnly, ${position} AS position`, timeout)
      const [row] = rows as [{ readOnly: unknown; position: unknown }]
      return { readOnly: Number(row.readOnly) !== 0, position: Position.parse(String(row.position)) }
    } catch (error) {
      // It answers, and knows no positions.
      if (this.#side.link !== undefined) return { readOnly: this.role === 'read-only', position: undefined }
      throw error
    }
  }

  /**
   * Whether it has everything up to `position`, waiting for that at most `budget` milliseconds. All who wait share one
   * question at a time to the server.
   */
  async reaches(position: Position, budget: number): Promise<boolean> {
    const until = this.node.now() + budget
    this.#asked = this.#asked.merge(position)
    while (!this.position.covers(position)) {
      const left = until - this.node.now()
      if (left <= 0 || this.down) return false
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
      this.down = true
      this.position = Position.START
    }
  }

  close(): void {
    this.#side.close()
  }
}
