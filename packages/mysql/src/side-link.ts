import { Link, type LinkSettings } from './link.js'
import { after } from './timer.js'

/**
 * A connection beside the pool's, for what must not wait for one of those: KILL QUERY, probes, waiting for a position.
 * It is opened at first use and again after it broke, asks one thing at a time, and does not keep the process alive.
 */
export class SideLink {
  readonly #settings: LinkSettings
  readonly #closing = new AbortController()
  #link: Link | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(settings: Omit<LinkSettings, 'lost'>) {
    this.#settings = {
      ...settings,
      lost: (link) => {
        if (this.#link === link) this.#link = undefined
      },
    }
  }

  /** Which server it is, once it has been connected. */
  get link(): Link | undefined {
    return this.#link
  }

  /** Opens it in advance. Never rejects: whoever needs it will hear of the trouble. */
  warm(): void {
    this.#inTurn(() => this.#open()).catch(() => {})
  }

  /** The rows (or the result). After `timeout` milliseconds the connection is cut, since its state is unknown. */
  async ask(sql: string, timeout: number): Promise<unknown> {
    const { deadlines, options } = this.#settings
    let late = false
    let opening: AbortController | undefined
    const limit = after(deadlines, options.clock.now() + timeout, () => {
      late = true
      opening?.abort()
      this.#link?.destroy()
    })
    try {
      return await this.#inTurn(async () => {
        if (late) throw tooLate(this.#settings)
        if (this.#link !== undefined) return this.#link.command(sql)
        opening = new AbortController()
        const link = await this.#open(opening.signal)
        return link.command(sql)
      })
    } catch (error) {
      throw late ? tooLate(this.#settings) : error
    } finally {
      deadlines.remove(limit)
    }
  }

  close(): void {
    this.#closing.abort()
    this.#link?.destroy()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => {})
    return turn
  }

  async #open(signal?: AbortSignal): Promise<Link> {
    if (this.#link !== undefined) return this.#link
    const closing = this.#closing.signal
    const link = await Link.open(
      this.#settings,
      signal === undefined ? closing : AbortSignal.any([closing, signal]),
    )
    link.unref()
    this.#link = link
    return link
  }
}

function tooLate({ server }: LinkSettings): Error {
  return Object.assign(new Error(`${server.name} did not answer in time`), { code: 'ETIMEDOUT' })
}
