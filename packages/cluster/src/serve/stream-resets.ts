import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Server } from 'node:net'
import { monotonicClock } from '@spillway/kit'
import { tapEvents } from '../connections/event-tap.js'

/** Limits on the streams of one HTTP/2 connection. */
export interface ResetLimits {
  /** Streams that a client may reset at once. */
  readonly streamResetBurst: number
  /** And per second after that. */
  readonly streamResetRate: number
  /** Streams that may be open at once. */
  readonly streams: number
}

const { NGHTTP2_ENHANCE_YOUR_CALM: CALM, NGHTTP2_NO_ERROR: NO_ERROR } = constants

/**
 * Ends the HTTP/2 connection of a client that resets streams faster than the limits allow ("rapid reset", CVE-2023-44487):
 * each stream has cost a handler. Node has options of the same names, but Node 20 does not heed them.
 */
export function boundResets(server: Server, limits: ResetLimits): void {
  tapEvents(server, {
    // Node still tells of the streams that it had read when the connection was ended: they start no handler.
    before: { stream: (stream: ServerHttp2Stream) => !stream.destroyed },
    after: {},
  })
  server.on('session', (session: Http2Session) => {
    const budget = new ResetBudget(session, limits)
    // Before the server's own listener, which starts the handler.
    session.prependListener('stream', (stream: ServerHttp2Stream) => budget.opened(stream))
  })
}

/** Token bucket of one connection: a reset takes a token, time brings them back. */
class ResetBudget {
  readonly #session: Http2Session
  readonly #limits: ResetLimits
  #tokens: number
  #at = monotonicClock.now()
  #openedThisTurn = 0

  constructor(session: Http2Session, limits: ResetLimits) {
    this.#session = session
    this.#limits = limits
    this.#tokens = limits.streamResetBurst
  }

  /** Node emits all streams of a read before their resets: streams beyond the limit of open ones must have been reset. */
  opened(stream: ServerHttp2Stream): void {
    if (this.#openedThisTurn++ === 0) setImmediate(this.#nextTurn)
    if (this.#openedThisTurn > this.#limits.streams + this.#tokens) this.#end()
    stream.once('close', () => this.#closed(stream))
  }

  #closed({ rstCode, aborted, headersSent, writableFinished }: ServerHttp2Stream): void {
    // A reset after the whole response is no abuse: it takes no token.
    const answered = headersSent && writableFinished && !aborted
    if (rstCode === NO_ERROR || answered) return
    const { streamResetBurst, streamResetRate } = this.#limits
    const now = monotonicClock.now()
    const earned = ((now - this.#at) / 1_000) * streamResetRate
    this.#tokens = Math.min(streamResetBurst, this.#tokens + earned) - 1
    this.#at = now
    if (this.#tokens < 0) this.#end()
  }

  #end(): void {
    if (!this.#session.destroyed) this.#session.destroy(undefined, CALM)
  }

  readonly #nextTurn = (): void => {
    this.#openedThisTurn = 0
  }
}
