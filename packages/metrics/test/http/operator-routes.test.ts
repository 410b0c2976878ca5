import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Router from '@koa/router'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa from 'koa'
import Koa2 from 'koa2'
import { afterEach, describe, expect, it } from 'vitest'
import { metrics as expressMetrics } from '../../src/express.js'
import { metrics as fastifyMetrics } from '../../src/fastify.js'
import { Metrics, requestListener } from '../../src/index.js'
import { metrics as koaMetrics } from '../../src/koa.js'

/** However a stranger spells the operator's routes: nothing of them comes out. */

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const DASHBOARD = { dashboard: '/dashboard' }

function made(): Metrics {
  const metrics = new Metrics({ processMetrics: false, events: false })
  closing.push(() => metrics.close())
  return metrics
}

async function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  return (server.address() as AddressInfo).port
}

async function onExpress(create: typeof express): Promise<number> {
  const app = create()
  app.use(expressMetrics(made(), DASHBOARD))
  const ops = create.Router()
  ops.use(expressMetrics(made(), DASHBOARD))
  app.use('/ops', ops)
  const sub = create()
  sub.use(expressMetrics(made(), DASHBOARD))
  app.use('/sub/:tenant', sub)
  return listening(app)
}

async function onFastify(): Promise<number> {
  const app = Fastify({
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
  })
  await app.register(fastifyMetrics, { metrics: made(), ...DASHBOARD })
  await app.listen({ port: 0, host: '127.0.0.1' })
  closing.push(() => app.close())
  return (app.server.address() as AddressInfo).port
}

async function onKoa(create: typeof Koa): Promise<number> {
  const app = new create()
  app.silent = true
  app.use(koaMetrics(made(), DASHBOARD))
  const ops = new Router()
  ops.use('/ops', koaMetrics(made(), DASHBOARD) as never)
  app.use(ops.routes())
  return listening(app.callback() as RequestListener)
}

const FRAMEWORKS = {
  'Express 4': () => onExpress(express4),
  'Express 5': () => onExpress(express),
  'Fastify 5': onFastify,
  'Koa 2': () => onKoa(Koa2 as typeof Koa),
  'Koa 3': () => onKoa(Koa),
  'node:http': () => listening(requestListener(made(), DASHBOARD)),
}

const ROUTES = ['/metrics', '/dashboard', '/dashboard/data', '/dashboard/dashboard.js']
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `${path}/`,
  (path) => path.toUpperCase(),
  (path) => `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`,
  (path) => `/${path}`,
  (path) => `/.${path}`,
  (path) => `/x/..${path}`,
  (path) => `${path}?token=1`,
  (path) => `${path}%00`,
  (path) => `${path};a=b`,
  (path) => path.replaceAll('/', '\\'),
  (path) => `http://localhost${path}`,
  (path) => `http://127.0.0.1:80${path}?x#y`,
  (path) => `/ops${path}`,
  (path) => `/OPS${path}/`,
  (path) => `/sub/acme${path}`,
]
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS', 'QUERY']
/** A stranger behind a proxy on this machine, who also asks for another method by a header. */
const STRANGER =
  'Host: localhost\r\nX-Forwarded-For: 203.0.113.9\r\nX-HTTP-Method-Override: GET\r\nConnection: close'

async function ask(port: number, method: string, target: string, headers: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${method} ${target} HTTP/1.1\r\n${headers}\r\n\r\n`)
  return text(socket)
}

/** Words that are in the answers only. */
const SECRETS = /spillway_sources|http_requests_in_flight|"series"|data-source=|function |fetch\(/

describe.each(Object.entries(FRAMEWORKS))('S12 the routes of the operator on %s', (_name, start) => {
  it('S12 are closed to a stranger by every spelling, method and mount', async () => {
    const port = await start()
    for (const method of METHODS) {
      for (const target of SPELLINGS.flatMap((spell) => ROUTES.map(spell))) {
        const answer = await ask(port, method, target, STRANGER)
        expect(answer, `${method} ${target}`).toMatch(
          /^HTTP\/1\.1 4\d\d|^HTTP\/1\.1 20[04] (?:OK|No Content)[\s\S]*Allow:/i,
        )
        expect(answer, `${method} ${target}`).not.toMatch(SECRETS)
      }
    }
  })

  it('S12 are open to this machine, HEAD without a body', async () => {
    const port = await start()
    const local = 'Host: localhost\r\nConnection: close'
    for (const route of ROUTES) {
      const answer = await ask(port, 'GET', route, local)
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer).toMatch(SECRETS)
      const head = await ask(port, 'HEAD', route, local)
      expect(head).toMatch(/^HTTP\/1\.1 200 /)
      expect(head.split('\r\n\r\n')[1]).toBe('')
    }
  })
})
