import { createServer } from 'node:http'
import { httpLoad } from '../load.mjs'

/** A stored response of 5 KB, served to 32 connections. */

const BODY = JSON.stringify(
  Array.from({ length: 50 }, (_, i) => ({ id: i, name: 'Ada Lovelace', note: 'x'.repeat(55) })),
)
const TYPE = 'application/json'
const RAW = 'Express, the handler alone'

function served(make) {
  return async () => {
    const server = await make()
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${server.address().port}/`
    for (let i = 0; i < 2; i++) {
      if ((await (await fetch(url)).text()) !== BODY) throw new Error('a wrong body')
    }
    return {
      close: () => server.close(),
      async run(roundMs) {
        const { requests, p50, p99, errors, non2xx } = await httpLoad(url, { connections: 32, ms: roundMs })
        if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} not 2xx`)
        return { ops: requests, p50, p99 }
      },
    }
  }
}

const onExpress = (...before) =>
  served(async () => {
    const { default: express } = await import('express')
    const app = express()
    for (const make of before) app.use(await make())
    app.get('/', (_req, res) => res.set('cache-control', 'public, max-age=60').type(TYPE).send(BODY))
    return createServer(app)
  })

const onKoa = (make) =>
  served(async () => {
    const { default: Koa } = await import('koa')
    const app = new Koa()
    app.use(await make())
    app.use(async (ctx) => {
      if (ctx.cashed && (await ctx.cashed())) return
      ctx.set('cache-control', 'public, max-age=60')
      ctx.type = TYPE
      ctx.body = BODY
    })
    return createServer(app.callback())
  })

const ours = (framework) => async () => {
  const { Cache } = await import('@spillway/cache')
  const { cacheResponse } = await import(`@spillway/cache/${framework}`)
  return cacheResponse(new Cache())
}

export const scenarios = [
  {
    title: 'Cache: HTTP hit, 5 KB, 32 connections',
    note: 'The handler here costs nothing, so the first row is the ceiling; what a cache saves is the cost of a real one.',
    baseline: RAW,
    rounds: 5,
    roundMs: 1_000,
    warmMs: 300,
    contenders: {
      [RAW]: onExpress(),
      'Express, @spillway/cache': onExpress(ours('express')),
      'Express, apicache': onExpress(async () => (await import('apicache')).default.middleware('1 minute')),
      'Koa, @spillway/cache': onKoa(ours('koa')),
      'Koa, koa-cash': onKoa(async () => {
        const { default: cash } = await import('koa-cash')
        const entries = new Map()
        return cash({ get: (key) => entries.get(key), set: (key, value) => void entries.set(key, value) })
      }),
    },
  },
]
