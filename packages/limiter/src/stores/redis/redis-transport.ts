import { randomBytes } from 'node:crypto'
import { ioredisCommands, misuse, RedisScripts } from '@spillway/kit'
import { microseconds } from '../../bucket/bucket.js'
import type { BatchRequest, Sharding, Transport } from '../remote/transport.js'
import { isMaster, masterOf, mayResend, type RedisClient, whenReady } from './redis-client.js'
import { SCRIPT } from './redis-script.js'
import { slotOfKey } from './redis-slot.js'

/** Sends batches to Redis, as one script per batch. */
export class RedisTransport implements Transport {
  readonly source = 'redis'
  readonly sharding: Sharding | undefined
  readonly #client: RedisClient
  readonly #scripts: RedisScripts
  readonly #prefix: string
  readonly #keyPrefix: string
  readonly #needsReceipt: boolean
  readonly #process = randomBytes(9).toString('base64url')
  /** Numbers of receipts that no request in flight has. */
  readonly #freeReceipts: number[] = []
  #receipts = 0
  /**
   * Clock offset by node, in microseconds, as answers showed. Taken from the moment of sending, which makes it a little too
   * large, so that a deadline in the server's time is never too early.
   */
  readonly #ahead = new Map<string, number>()
  #stopListening = () => {}

  /** @param prefix begins every key, after the `keyPrefix` of the client */
  constructor(client: RedisClient, prefix: string) {
    this.#client = client
    const commands = ioredisCommands(client)
    this.#scripts = new RedisScripts(commands, 'bytes')
    this.#prefix = prefix
    this.#keyPrefix = commands.keyPrefix
    this.#needsReceipt = mayResend(client)
    if (client.isCluster) this.sharding = shardingOf(client, this.#keyPrefix)
  }

  /** The user's key, with braces escaped, is the hash tag, so all buckets of one decision share a slot. */
  bucketOf(key: string, limit: string): string {
    return `${this.#prefix}:{${BRACES.test(key) ? key.replace(/[%{}]/g, encodeURIComponent) : key}}:${limit}`
  }

  send(request: BatchRequest): Promise<readonly number[]> {
    return this.#run(request, () => this.#sendAgain(request))
  }

  /** Nothing is kept for a request. */
  forget(): void {}

  open(alive: (node: string) => void): void {
    this.#stopListening = whenReady(this.#client, () => alive(''))
  }

  close(): void {
    this.#stopListening()
  }

  /**
   * By the offset that we knew, the deadline was over on the server's clock, so the server did nothing. If the deadline is not
   * over here, that clock was moved; the answer corrected the offset.
   */
  async #sendAgain(request: BatchRequest): Promise<readonly number[]> {
    const tooLate = () => {
      throw new Error('The call reached Redis too late')
    }
    return performance.now() < request.deadline ? this.#run(request, tooLate) : tooLate()
  }

  /** @param late answers instead, if the call came too late for the server */
  #run(request: BatchRequest, late: () => Promise<readonly number[]>): Promise<readonly number[]> {
    const { id, keys, numbers, answerLength, node, deadline } = request
    const ahead = this.#ahead.get(node)
    const latest = ahead === undefined ? 0 : microseconds(deadline) + ahead
    const receipt = this.#needsReceipt ? (this.#freeReceipts.pop() ?? this.#receipts++) : undefined
    const args =
      receipt === undefined
        ? [...keys, latest, 0, ...numbers]
        : [this.#receiptOf(receipt, keys[0]!), ...keys, latest, id, ...numbers]
    const keyCount = args.length - numbers.length - 2
    const sent = performance.now()
    const read = (reply: unknown) => {
      // After an error the client might still send the call again, so only an answer sets its receipt free.
      if (receipt !== undefined) this.#freeReceipts.push(receipt)
      return this.#read(reply, answerLength, node, sent) ?? late()
    }
    return this.#scripts.run(SCRIPT, keyCount, args, read)
  }

  /** The numbers of an answer; `undefined` if the call came too late. */
  #read(reply: unknown, answerLength: number, node: string, sent: number): readonly number[] | undefined {
    if (!Buffer.isBuffer(reply) || (reply.length !== 16 && reply.length !== 16 + 8 * answerLength)) {
      throw misuse(TypeError, 'ERR_LIMITER_REPLY', 'The client changes replies')
    }
    const time = reply.readDoubleBE(0)
    const isLate = reply.readDoubleBE(8) === 1
    if (!(time >= 0 && time <= LATEST) || isLate !== (reply.length === 16)) {
      throw misuse(TypeError, 'ERR_LIMITER_REPLY', 'The server does not tell its time')
    }
    const upper = time - microseconds(sent)
    const ahead = this.#ahead.get(node)
    // The least of the upper bounds is the best one, until it proves too small: then that clock was moved.
    if (ahead === undefined || isLate || upper < ahead) this.#ahead.set(node, upper)
    if (isLate) return undefined
    const numbers: number[] = []
    for (let at = 16; at < reply.length; at += 8) numbers.push(reply.readDoubleBE(at))
    return numbers
  }

  /**
   * A key that no other request in flight uses; in a Cluster, of the same slot. It is used again and again, since keys that
   * come and go keep Redis busy with expiring them.
   */
  #receiptOf(receipt: number, bucket: string): string {
    const home = this.#client.isCluster ? bucket : `${this.#prefix}:`
    return `${home}!${this.#process}${receipt.toString(36)}`
  }
}

function shardingOf(client: RedisClient, keyPrefix: string): Sharding {
  return {
    slotOf: (bucket) => slotOfKey(keyPrefix + bucket),
    nodeOf: (slot) => masterOf(client, slot),
    knows: (node) => isMaster(client, node),
  }
}

const BRACES = /[%{}]/
/** The year 5138, in microseconds. */
const LATEST = 1e17
