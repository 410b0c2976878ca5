import { replaySuite } from '@spillway/kit/testing'
import { cacheResponse as express } from '../../src/express.js'
import { cacheResponse as fastify } from '../../src/fastify.js'
import { Cache } from '../../src/index.js'
import { cacheResponse as koa } from '../../src/koa.js'
import { brokenStore } from '../stores/stores.js'

replaySuite('cacheResponse', {
  maxBytes: 1_000,
  optOut: { cacheResponse: false },
  setup(mode) {
    const cache = mode === 'fail' ? new Cache({ l1: false, store: brokenStore() }) : new Cache()
    const options = { maxBodyBytes: 1_000 }
    return {
      express: (app) => app.use(express(cache, options)),
      fastify: (app) => app.register(fastify, { cache, ...options }),
      koa: (app) => app.use(koa(cache, options)),
      close: () => cache.close(),
    }
  },
})
