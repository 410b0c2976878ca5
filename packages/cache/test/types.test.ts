import type { Request, Response } from 'express'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import type { Context } from 'koa'
import { describe, expectTypeOf, it } from 'vitest'
import type { ExpressCacheResponseOptions } from '../src/express.js'
import type { FastifyCacheResponseOptions } from '../src/fastify.js'
import {
  Cache,
  type CacheKey,
  type CacheOptions,
  type CacheStats,
  type CallOptions,
  type LoadContext,
  memcachedStore,
  type RedisClient,
} from '../src/index.js'
import type { KoaCacheResponseOptions } from '../src/koa.js'

interface User {
  readonly id: number
}

describe('the types', () => {
  it('say what the loader returns, whether it is a promise or not', async () => {
    await using cache = new Cache()
    const loadUser = async (id: number): Promise<User> => ({ id })
    expectTypeOf(cache.getOrSet('k', () => loadUser(1))).toEqualTypeOf<Promise<User>>()
    expectTypeOf(cache.getOrSet('n', () => 1)).toEqualTypeOf<Promise<number>>()
    expectTypeOf(cache.getOrSet('u', (): User | undefined => undefined)).toEqualTypeOf<
      Promise<User | undefined>
    >()
    expectTypeOf(cache.get<User>('k')).toEqualTypeOf<Promise<User | undefined>>()
    expectTypeOf(cache.get('k')).toEqualTypeOf<Promise<unknown>>()
    expectTypeOf(cache.peek<User>('k')).toEqualTypeOf<User | undefined>()
    expectTypeOf(cache.getMany<User>(['a', 'b'])).toEqualTypeOf<Promise<(User | undefined)[]>>()
    expectTypeOf(cache.wrap(loadUser, { key: (id) => ['user', id] })).toEqualTypeOf<
      (id: number) => Promise<User>
    >()
    expectTypeOf(cache.stats()).toEqualTypeOf<CacheStats>()
    expectTypeOf(cache).toExtend<AsyncDisposable>()
  })

  it('give the loader its context', async () => {
    await using cache = new Cache()
    await cache.getOrSet('k', (context) => {
      expectTypeOf(context).toEqualTypeOf<LoadContext>()
      expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(context.stale).toEqualTypeOf<unknown>()
      expectTypeOf(context.setTtl).parameter(0).toExtend<number | string>()
      return 1
    })
  })

  it('know keys, durations and options', () => {
    expectTypeOf<['u', 1, 2n, true, null]>().toExtend<CacheKey>()
    expectTypeOf<{ id: 1 }>().not.toExtend<CacheKey>()
    expectTypeOf<undefined>().not.toExtend<CacheKey>()
    expectTypeOf({ ttl: '30s', swr: false, tags: ['t'] } as const).toExtend<CallOptions>()
    expectTypeOf({ ttl: 'soon' } as const).not.toExtend<CallOptions>()
    expectTypeOf({ share: 'copy' } as const).not.toExtend<CallOptions>()
    expectTypeOf({ l1: false, storeTimeout: '1s' } as const).toExtend<CacheOptions>()
  })

  it('take both clients, and make no others look right', () => {
    expectTypeOf(Redis).instance.toExtend<RedisClient>()
    expectTypeOf(Redis5).instance.toExtend<RedisClient>()
    expectTypeOf<Map<string, string>>().not.toExtend<RedisClient>()
    expectTypeOf(memcachedStore).parameter(0).toEqualTypeOf<string | readonly string[]>()
  })

  it('give callbacks the request of their framework', () => {
    type Key<Options extends { readonly key?: unknown }> = Parameters<
      Extract<NonNullable<Options['key']>, (...args: never[]) => unknown>
    >
    expectTypeOf<Key<ExpressCacheResponseOptions>>().toEqualTypeOf<[req: Request, res: Response]>()
    expectTypeOf<Key<FastifyCacheResponseOptions>>().toEqualTypeOf<
      [request: FastifyRequest, reply: FastifyReply]
    >()
    expectTypeOf<Key<KoaCacheResponseOptions>>().toEqualTypeOf<[ctx: Context]>()
  })
})
