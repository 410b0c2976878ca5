import { Backoff } from '@spillway/kit'
import { type RedisClient, type RedisSubscriber, subscriberOf } from './redis-client.js'

/** Milliseconds between two questions whether the connection still lives. A connection can die without a word. */
const HEARTBEAT = 1_000
/** Heartbeats without an answer, after which it is given up. A deadline of its own for each command would cost every read. */
const PATIENCE = 2
/** Milliseconds before a new connection. */
const PAUSES = { first: 50, max: 1_000 }

export interface RedisBusListener {
  /** Every message from now on will come. */
  live(): void
  message(text: string): void
  /** Messages may be missed from now on. */
  dropped(): void
}

/** Listens on one channel over a connection of its own, makes a new one when it breaks, and tells of the gap. */
export class RedisBus {
  readonly #client: RedisClient
  readonly #channel: string
  readonly #listener: RedisBusListener
  #subscriber: RedisSubscriber | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #unanswered = 0
  #retry: NodeJS.Timeout | undefined
  readonly #pauses: Backoff
  #closed = false

  /** @param random spreads the new connections; a number from 0 up to 1 */
  constructor(client: RedisClient, channel: string, listener: RedisBusListener, random = Math.random) {
    this.#pauses = new Backoff({ ...PAUSES, random })
    this.#client = client
    this.#channel = channel
    this.#listener = listener
    this.#connect()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#drop(this.#subscriber)
  }

  #connect(): void {
    const subscriber = this.#client.status === 'wait' ? undefined : subscriberOf(this.#client)
    if (subscriber === undefined) {
      this.#later()
      return
    }
    this.#subscriber = subscriber
    subscriber.on('error', () => {}) // the end of the connection says all there is to know
    subscriber.on('message', (_channel: string, text: string) => this.#listener.message(text))
    subscriber.on('end', () => this.#drop(subscriber))
    this.#unanswered = 0
    this.#heartbeat = setInterval(() => this.#beat(subscriber), HEARTBEAT).unref()
    subscriber
      .connect()
      .then(() => subscriber.subscribe(this.#channel))
      .then(() => this.#live(subscriber))
      .catch(() => this.#drop(subscriber))
  }

  #live(subscriber: RedisSubscriber): void {
    if (this.#subscriber !== subscriber) return
    this.#pauses.reset()
    this.#unanswered = 0
    this.#listener.live()
  }

  #beat(subscriber: RedisSubscriber): void {
    if (this.#unanswered === PATIENCE) {
      this.#drop(subscriber)
      return
    }
    this.#unanswered++
    if (subscriber.status !== 'ready') return
    subscriber.ping().then(
      () => {
        this.#unanswered = 0
      },
      () => this.#drop(subscriber),
    )
  }

  /** Idempotent. */
  #drop(subscriber: RedisSubscriber | undefined): void {
    if (subscriber === undefined || this.#subscriber !== subscriber) return
    this.#subscriber = undefined
    clearInterval(this.#heartbeat)
    subscriber.disconnect()
    this.#listener.dropped()
    this.#later()
  }

  #later(): void {
    if (this.#closed) return
    this.#retry = setTimeout(() => this.#connect(), this.#pauses.fail())
    this.#retry.unref()
  }
}
