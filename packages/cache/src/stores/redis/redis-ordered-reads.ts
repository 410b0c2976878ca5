import { tellsOfKeys } from '../../coherence/bus.js'
import type { Reading } from '../../store.js'
import type { RedisClient, RedisCommand } from './redis-client.js'
import { frameOf } from './redis-reads.js'
import { placeOf, type RedisServer } from './redis-server.js'

/** Replies on their way at most: Redis closes the connection of a subscriber for whom too much waits to be sent. */
const MOST = 16
const MOST_EPOCHS = 1_000
/** Milliseconds that replies have been on their way, after which others are not made to wait for them. */
const SLOW = 50

/**
 * Reads on the connection of the bus, as RESP3 allows. Messages and replies come in one order there: an epoch that was read
 * once stands until a message tells of a new one, so that a hit is one GET, and no MGET of the entry and its epochs. Only
 * while that connection leads to the same server and database as the client's own, where changes are made.
 */
export class RedisOrderedReads {
  readonly #server: RedisServer
  readonly #prefix: string
  readonly #epochs = new Map<string, string>()
  #connection: RedisClient | undefined
  #get: RedisCommand | undefined
  #place: string | undefined
  #flying = 0
  /** Since then, by `performance.now()`, there has always been a reply on its way. */
  #busySince = 0
  /** Rises with each message that may tell of a new epoch. */
  #changes = 0

  /** @param prefix what the client puts before each key */
  constructor(server: RedisServer, prefix: string) {
    this.#server = server
    this.#prefix = prefix
  }

  /** The bus listens on this connection from now on. */
  async open(connection: RedisClient): Promise<void> {
    this.#connection = connection
    // A subscriber of RESP2 may not ask, and stays without.
    const place = await placeOf(connection)
    if (place === undefined || this.#connection !== connection) return
    this.#place = place
    this.#get = connection.createBuiltinCommand('get').buffer.bind(connection)
  }

  /** Messages may be missed from now on. */
  close(): void {
    this.#connection = undefined
    this.#place = undefined
    this.#get = undefined
    this.#forget()
  }

  hear(message: string): void {
    if (!tellsOfKeys(message)) this.#forget()
  }

  /** What {@link learn} must be told: where the messages stood when the epochs were asked for. */
  get changes(): number {
    return this.#changes
  }

  /** Epochs that were read, by their keys. */
  learn(keys: readonly string[], values: readonly (string | undefined)[], changes: number): void {
    if (!this.#agrees || changes !== this.#changes) return
    if (this.#epochs.size + keys.length > MOST_EPOCHS) this.#epochs.clear()
    for (const [i, key] of keys.entries()) {
      const value = values[i]
      if (value === undefined) this.#epochs.delete(key)
      else this.#epochs.set(key, value)
    }
  }

  /** An entry, with epochs by their keys. `undefined`: it is to be read the other way. */
  read(entry: string, epochs: readonly string[]): Promise<Reading | undefined> | undefined {
    if (this.#get === undefined || !this.#agrees || this.#flying >= MOST) return undefined
    const now = performance.now()
    if (this.#flying === 0) this.#busySince = now
    else if (now - this.#busySince > SLOW) return undefined
    const values: string[] = []
    for (const key of epochs) {
      const value = this.#epochs.get(key)
      if (value === undefined) return undefined
      values.push(value)
    }
    const changes = this.#changes
    this.#flying++
    return this.#get(this.#prefix + entry).then(
      (frame) => {
        this.#flying--
        // Whatever is wrong with it is said by the other way of reading.
        if (changes !== this.#changes || (frame !== null && !Buffer.isBuffer(frame))) return undefined
        return { frame: frameOf(frame), epochs: values, remembered: true }
      },
      () => {
        this.#flying--
        return undefined
      },
    )
  }

  /** Both connections are known to lead to the same place. */
  get #agrees(): boolean {
    return this.#place !== undefined && this.#place === this.#server.place
  }

  #forget(): void {
    this.#changes++
    this.#epochs.clear()
  }
}
