import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  anything,
  type Check,
  defineOptions,
  func,
  having,
  integer,
  onResponseEnd,
  optional,
  responseSignal,
} from '@spillway/kit'
import {
  CONCURRENCY_CHECKS,
  ConcurrencyLimiter,
  type ConcurrencyLimiterOptions,
  type Permit,
} from '../concurrency/concurrency.js'
import { ClientAddress, type Trust, trustCheck } from './address.js'
import { Ipv6KeyWarning } from './ipv6-key-warning.js'

/** Options of `limitConcurrency` beside the limit. `Args` are the arguments of a middleware. */
export interface ConcurrencyGateOptions<Args extends unknown[]> {
  /**
   * A limiter made elsewhere, to share it or to read its `stats()`; its own `perKey` counts. Default: one made of these same
   * options.
   */
  readonly limiter?: ConcurrencyLimiter
  /** The key of a request, for `perKey`; as for `rateLimit`. Default: the address of the client, see `trust`. */
  readonly key?: (...args: Args) => string | undefined
  /** Requests that do not count, such as health checks. Default: none. */
  readonly skip?: (...args: Args) => boolean
  /** As for `rateLimit`. Default: `0`. */
  readonly trust?: Trust
  /** As for `rateLimit`. Default: 64. */
  readonly ipv6Prefix?: number
}

/** Options of `limitConcurrency`: the limit itself, or a `limiter`, and how requests are counted. */
export type LimitConcurrencyOptions<Args extends unknown[]> = ConcurrencyGateOptions<Args> &
  Partial<ConcurrencyLimiterOptions>

const limiterNames = Object.keys(CONCURRENCY_CHECKS)
const resolveOptions = defineOptions(
  'limiter',
  'limitConcurrency',
  {
    ...(Object.fromEntries(limiterNames.map((name) => [name, optional(anything)])) as Record<
      string,
      Check<unknown>
    >),
    limiter: optional(having<ConcurrencyLimiter>('a ConcurrencyLimiter', 'acquire', 'tryAcquire')),
    key: optional(func()),
    skip: optional(func()),
    trust: trustCheck,
    ipv6Prefix: integer({ min: 32, max: 128 }),
  },
  { trust: 0, ipv6Prefix: 64 },
)

/**
 * The share of one client, unless `perKey` says otherwise. A client that sends its bodies a byte at a time would otherwise
 * hold every place. Half, because behind a proxy without `trust` all clients are one, and the site must still be served.
 */
const CLIENT_SHARE = 0.5

/** Policy enforcement point of `limitConcurrency`, without the framework. */
export class ConcurrencyGate<Args extends unknown[]> {
  readonly limiter: ConcurrencyLimiter
  readonly #options: LimitConcurrencyOptions<Args>
  readonly #address: ClientAddress
  readonly #keyWarning = new Ipv6KeyWarning(true)

  /** @throws TypeError | RangeError `ERR_LIMITER_OPTION` */
  constructor(options: LimitConcurrencyOptions<Args>) {
    const checked = resolveOptions(options)
    const own = Object.fromEntries(Object.entries(options).filter(([name]) => limiterNames.includes(name)))
    this.#options = options
    this.#address = new ClientAddress(checked.trust, checked.ipv6Prefix)
    this.limiter =
      options.limiter ??
      new ConcurrencyLimiter({
        perKey: CLIENT_SHARE,
        ...(own as object as ConcurrencyLimiterOptions),
      })
  }

  /**
   * Takes a place until the response is over, sent or cut off. A promise only when the request has to wait.
   *
   * @throws ConcurrencyError `ERR_LIMITER_CONCURRENCY` (the promise)
   */
  enter(req: IncomingMessage, res: ServerResponse, ...args: Args): undefined | Promise<void> {
    const { skip } = this.#options
    if (skip?.(...args)) return undefined
    const key = this.limiter.perKey === undefined ? undefined : this.#keyOf(req, args)
    const permit = this.limiter.tryAcquire(key)
    if (permit !== undefined) return hold(permit, res)
    const asked = { signal: responseSignal(res), ...(key === undefined ? {} : { key }) }
    return this.limiter.acquire(asked).then((late) => hold(late, res))
  }

  #keyOf(req: IncomingMessage, args: Args): string | undefined {
    const { key } = this.#options
    if (key === undefined) return this.#address.of(req)
    const own = key(...args)
    if (typeof own === 'string') this.#keyWarning.see(own)
    return own
  }
}

/** The time of a request whose client went away says nothing about how long the work takes. */
function hold(permit: Permit, res: ServerResponse): undefined {
  onResponseEnd(res, (finished) => permit.release(finished ? 'done' : 'ignored'))
}
