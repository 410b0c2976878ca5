import { randomBytes } from 'node:crypto'
import {
  type Duration,
  defineOptions,
  duration,
  having,
  ioredisCommands,
  misuse,
  RedisScripts,
  string,
} from '@spillway/kit'
import { microseconds } from '../../bucket/bucket.js'
import { BucketNames } from '../../bucket/names.js'
import { type Request, SharedStore } from '../shared/shared-store.js'
import { isMaster, masterOf, mayResend, type RedisClient, whenReady } from './redis-client.js'
import { SCRIPT } from './redis-script.js'
import { slotOfKey } from './slot.js'

export interface RedisStoreOptions {
  /** Begins every key, after the `keyPrefix` of the client. No braces. Default: `'spillway'`. */
  readonly prefix?: string
  /** How long a decision may take before the policy for failures decides instead. Default: `'250ms'`. */
  readonly deadline?: Duration
}

export const REDIS_STORE_DEFAULTS = Object.freeze({ prefix: 'spillway', deadline: 250 })

const resolveOptions = defineOptions(
  'limiter',
  'redisStore',
  {
    prefix: string({ pattern: /^[^{}]+$/, like: 'a text without braces' }),
    deadline: duration({ min: 1, max: 60_000 }),
  },
  REDIS_STORE_DEFAULTS,
)
const clientCheck = having<RedisClient>('an ioredis client', 'callBuffer', 'on', 'off')

/**
 * Buckets in Redis (5 or newer; standalone, Sentinel, Cluster), decided there by one script with the server's clock.
 *
 * ```ts
 * new RateLimiter({ limit: 100, window: '15m', store: redisStore(new Redis()) })
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function redisStore(client: RedisClient, options?: RedisStoreOptions): RedisStore {
  return new RedisStore(client, options)
}

export class RedisStore extends SharedStore {
  readonly source = 'redis'
  readonly #client: RedisClient
  readonly #scripts: RedisScripts
  readonly #prefix: string
  readonly #keyPrefix: string
  protected readonly names: BucketNames
  readonly #needsReceipt: boolean
  readonly #process = randomBytes(9).toString('base64url')
  /** Numbers of receipts that no call under way has. */
  readonly #freeReceipts: number[] = []
  #receipts = 0
  /**
   * By node: how far its clock is ahead of ours, in microseconds, as answers showed. Taken from the moment of sending,
   * which makes it a little too much, so that a deadline in the server's time is never too early.
   */
  readonly #ahead = new Map<string, number>()
  readonly #stopListening: () => void

  constructor(client: RedisClient, options?: RedisStoreOptions) {
    const { prefix, deadline } = resolveOptions(options)
    clientCheck(client, { owner: 'redisStore', name: 'client', code: 'ERR_LIMITER_OPTION' })
    super(deadline)
    this.#client = client
    const commands = ioredisCommands(client)
    this.#scripts = new RedisScripts(commands, 'bytes')
    this.#prefix = prefix
    this.#keyPrefix = commands.keyPrefix
    this.names = new BucketNames(`redis ${this.#keyPrefix}${prefix}`)
    this.#needsReceipt = mayResend(client)
    this.#stopListening = whenReady(client, () => this.retryNow(''))
  }

  /** The key of the user is the hash tag, whatever is in it, so all buckets of one decision share a slot. */
  bucketOf(key: string, limit: string): string {
    return `${this.#prefix}:{${BRACES.test(key) ? key.replace(/[%{}]/g, encodeURIComponent) : key}}:${limit}`
  }

  protected slotOf(bucket: string): number {
    return this.#client.isCluster ? slotOfKey(this.#keyPrefix + bucket) : 0
  }

  protected nodeOf(slot: number): string {
    return this.#client.isCluster ? masterOf(this.#client, slot) : ''
  }

  protected override knows(node: string): boolean {
    return !this.#client.isCluster || isMaster(this.#client, node)
  }

  protected send(request: Request): Promise<readonly number[]> {
    return this.#run(request, () => this.#sendAgain(request))
  }

  protected release(): void {
    this.#stopListening()
  }

  /**
   * The server did nothing because by our last idea of its clock nobody waits any more. If somebody does, its clock was
   * moved; the answer corrected our idea.
   */
  async #sendAgain(request: Request): Promise<readonly number[]> {
    const tooLate = () => {
      throw new Error('The call reached Redis too late')
    }
    return performance.now() < request.deadline ? this.#run(request, tooLate) : tooLate()
  }

  /** @param late answers instead, if the call came too late for the server */
  #run(request: Request, late: () => Promise<readonly number[]>): Promise<readonly number[]> {
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
   * A key that only this call has as long as it is under way; in a Cluster, of the same slot. Overwritten again and again,
   * since keys that come and go keep Redis busy with expiring them.
   */
  #receiptOf(receipt: number, bucket: string): string {
    const home = this.#client.isCluster ? bucket : `${this.#prefix}:`
    return `${home}!${this.#process}${receipt.toString(36)}`
  }
}

const BRACES = /[%{}]/
/** The year 5138, in microseconds. */
const LATEST = 1e17
