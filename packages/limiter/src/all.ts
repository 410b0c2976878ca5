import { misuse } from '@spillway/kit'
import type { Answer } from './bucket/store.js'
import { RateLimiter } from './limiter.js'
import { MOST_LIMITS } from './stores/remote/protocol.js'

/** Functions over several limiters. */
export const limiters = Object.freeze({
  /**
   * Several limits as one decision: all admit and are charged, or none is. The buckets stay those of the members. The
   * limiters must have different names and live in the same store (or all in memory); either all have a lease or none.
   * A limiter in shadow mode refuses nothing here: when the others admit, it is charged if it has room.
   *
   * @throws TypeError `ERR_LIMITER_JOIN`
   */
  all<R extends Answer>(members: readonly RateLimiter<R>[]): RateLimiter<R> {
    const isLimiter = (member: unknown) => member instanceof RateLimiter && member.limits.length === 1
    if (!Array.isArray(members) || members.length === 0 || !members.every(isLimiter)) {
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs an array of single limiters')
    }
    if (members.length > MOST_LIMITS) {
      throw misuse(RangeError, 'ERR_LIMITER_JOIN', `limiters.all() takes ${MOST_LIMITS} limiters at most`)
    }
    return new RateLimiter<R>(members)
  },
})
