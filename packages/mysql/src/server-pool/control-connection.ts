import { offAbort, onAbort } from '@spillway/kit'
import { type ConnectionSettings, DriverConnection } from '../connection/driver-connection.js'

/**
 * Control connection: one beside the pool's, for statements that must not wait for a pooled one (KILL QUERY, probes, waiting
 * for a position).
 * It is opened at first use and again after it broke, asks one thing at a time, and does not keep the process alive.
 */
export class ControlConnection {
  readonly #settings: ConnectionSettings
  readonly #closing = new AbortController()
  #connection: DriverConnection | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(settings: Omit<ConnectionSettings, 'lost'>) {
    this.#settings = {
      ...settings,
      lost: (connection) => {
        if (this.#connection === connection) this.#connection = undefined
      },
    }
  }

  /** The open connection, if there is one. */
  get connection(): DriverConnection | undefined {
    return this.#connection
  }

  /** Opens it in advance. A failure is ignored here: the next question reports it. */
  warm(): void {
    this.#inTurn(() => this.#open()).catch(() => {})
  }

  /**
   * The rows (or the result). Settles within `timeout` milliseconds, whatever the connection is doing: an answer that is
   * not there by then costs the connection, since its state is unknown; a connection that is still being opened for
   * others goes on.
   */
  ask(sql: string, timeout: number): Promise<unknown> {
    const { deadlines, options } = this.#settings
    return new Promise((resolve, reject) => {
      const turn = new AbortController()
      const limit = deadlines.after(options.clock.now() + timeout, () => {
        // What the socket has received already, while this process was busy, is read before this.
        setImmediate(() => {
          turn.abort()
          reject(tooLate(this.#settings))
        })
      })
      this.#inTurn(() => this.#ask(sql, turn.signal))
        .then(resolve, reject)
        .finally(() => deadlines.remove(limit))
    })
  }

  async #ask(sql: string, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted()
    const connection = await this.#open(signal)
    const cut = () => connection.destroy()
    onAbort(signal, cut)
    try {
      return await connection.command(sql)
    } finally {
      offAbort(signal, cut)
    }
  }

  close(): void {
    this.#closing.abort()
    this.#connection?.destroy()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => {})
    return turn
  }

  async #open(signal?: AbortSignal): Promise<DriverConnection> {
    if (this.#connection !== undefined) return this.#connection
    const closing = this.#closing.signal
    const connection = await DriverConnection.open(
      this.#settings,
      signal === undefined ? closing : AbortSignal.any([closing, signal]),
    )
    connection.unref()
    this.#connection = connection
    return connection
  }
}

function tooLate({ server }: ConnectionSettings): Error {
  return Object.assign(new Error(`${server.name} did not answer in time`), { code: 'ETIMEDOUT' })
}
