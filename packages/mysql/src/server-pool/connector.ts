import { Backoff } from '@spillway/kit'
import type { Deadline } from '../connection/deadlines.js'
import { type ConnectionSettings, DriverConnection } from '../connection/driver-connection.js'
import { type ServerVariables, serverVariablesOf, UNKNOWN } from '../connection/server-variables.js'
import { classify } from '../errno.js'
import { MysqlUnavailableError } from '../errors.js'

export interface ConnectorHooks {
  opened(connection: DriverConnection): void
  failed(error: unknown): void
  /** The time to try again has come. */
  retry(): void
}

/** Connector of one server: how many connections are opened at a time, how soon after a failure, and how many in all. */
export class Connector {
  readonly #settings: ConnectionSettings
  readonly #limit: number
  readonly #hooks: ConnectorHooks
  readonly #abort = new AbortController()
  readonly #backoff = new Backoff({ first: 50, max: 1_000 })
  #pausedUntil = Number.NEGATIVE_INFINITY
  /** Why the last attempt failed. */
  #cause: unknown
  #redial: Deadline | undefined
  #asked = false
  variables: ServerVariables = UNKNOWN
  /** Being opened now. */
  connecting = 0
  /** Connections that the server lets us have, as far as we know: less than the limit after "too many connections". */
  effective: number

  constructor(settings: ConnectionSettings, limit: number, hooks: ConnectorHooks) {
    this.#settings = settings
    this.#limit = limit
    this.#hooks = hooks
    this.effective = limit
  }

  get closed(): boolean {
    return this.#abort.signal.aborted
  }

  /** The refusal of an acquire in the pause after a failure. */
  unavailable(now: number): MysqlUnavailableError {
    return new MysqlUnavailableError(this.#settings.server.name, this.#cause, this.#pause(now))
  }

  /** The last attempt failed with "too many connections". */
  get crowded(): boolean {
    return classify(this.#cause).kind === 'too-many-connections'
  }

  /** No attempt is made now: the last failure is too recent. */
  pausing(now: number): boolean {
    return now < this.#pausedUntil
  }

  /** Milliseconds until an attempt is made again. */
  #pause(now: number): number {
    return Math.max(0, this.#pausedUntil - now)
  }

  /** Opens as many as are needed and allowed. After a failure one attempt at a time, and not at once. */
  dial(needed: number, open: number, now: number): void {
    while (this.connecting < needed && open + this.connecting < this.effective && this.#may(now)) this.#dial()
  }

  /** Calls `retry` at the end of the pause. */
  later(now: number): void {
    this.#redial ??= this.#settings.deadlines.after(now + this.#pause(now), () => {
      this.#redial = undefined
      if (!this.closed) this.#hooks.retry()
    })
  }

  /** Too many connections: caps the pool at those that are open. */
  narrow(open: number): void {
    this.effective = Math.max(1, open)
  }

  /** Raises the cap by one, some time after "too many connections". */
  widen(open: number, now: number): void {
    if (this.effective < this.#limit && !this.pausing(now)) {
      this.effective = Math.min(this.#limit, Math.max(this.effective, open + 1))
    }
  }

  close(): void {
    this.#abort.abort()
    if (this.#redial !== undefined) this.#settings.deadlines.remove(this.#redial)
  }

  #may(now: number): boolean {
    return this.#backoff.failures === 0 || (this.connecting === 0 && !this.pausing(now))
  }

  #dial(): void {
    this.connecting++
    this.#open().then(
      (connection) => {
        this.connecting--
        this.#succeeded()
        if (this.closed) connection.destroy()
        else this.#hooks.opened(connection)
      },
      (error: unknown) => {
        this.connecting--
        if (this.closed) return
        this.#failed(error)
        this.#hooks.failed(error)
      },
    )
  }

  #succeeded(): void {
    this.#backoff.reset()
    this.#pausedUntil = Number.NEGATIVE_INFINITY
    this.#cause = undefined
  }

  #failed(error: unknown): void {
    this.#cause = error
    this.#pausedUntil = this.#settings.options.clock.now() + this.#backoff.fail()
  }

  async #open(): Promise<DriverConnection> {
    const connection = await DriverConnection.open(this.#settings, this.#abort.signal)
    if (!this.#asked && this.#settings.options.session) {
      this.#asked = true
      this.variables = await serverVariablesOf(connection, this.#settings.degraded)
    }
    return connection
  }
}
