import { type Duration, defineOptions, duration, having, keyPrefixOf, string } from '@spillway/kit'
import { BucketNames } from '../../bucket/bucket-names.js'
import { SharedStore } from '../remote/shared-store.js'
import type { RedisClient } from './redis-client.js'
import { RedisTransport } from './redis-transport.js'

/** Options of `redisStore`. */
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
  const { prefix, deadline } = resolveOptions(options)
  clientCheck(client, { owner: 'redisStore', name: 'client', code: 'ERR_LIMITER_OPTION' })
  const names = new BucketNames(`redis ${keyPrefixOf(client)}${prefix}`)
  return new SharedStore(new RedisTransport(client, prefix), names, deadline)
}

/** A store over a Redis client, with the events `down` and `up`. */
export type RedisStore = SharedStore
