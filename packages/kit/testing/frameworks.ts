/// <reference path="./versions.d.ts" />
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type Duplex, pipeline, Readable } from 'node:stream'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import express4 from 'express4'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import Koa, { type Context } from 'koa'
import Koa2 from 'koa2'
import { type Answer, type Ask, open, readAnswer, visit } from './client.js'
import { openHttp2, visitHttp2 } from './client-http2.js'
import { turns, until } from './waiting.js'

/** Every framework version that the packages support. */
export const FRAMEWORKS = ['express4', 'express5', 'fastify5', 'koa2', 'koa3'] as const
/** The same over HTTP/2 without TLS, where a framework speaks it: Express does not, and Koa 2 never answers a HEAD. */
export const FRAMEWORKS_HTTP2 = ['fastify5h2', 'koa3h2'] as const
export type Framework = (typeof FRAMEWORKS | typeof FRAMEWORKS_HTTP2)[number]

/** How a package puts its adapter on an app, as its user would: a line of native code per framework. */
export interface Mounts {
  express(app: Express, server: Server): unknown
  fastify(app: FastifyInstance): unknown
  koa(app: Koa, server: Server): unknown
}

/** The framework's own request: Express's `req`, Fastify's `request`, Koa's `ctx`. */
export type Native = Request | FastifyRequest | Context

/** What a route answers; each framework sends it in its own idiom: `res.send`, `reply.send`, `ctx.body`. */
export interface Reply {
  /** Default: 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Default: `'ok'`. */
  readonly body?: string | Buffer | Readable
}

export type Handler = (native: Native) => Reply | Promise<Reply>

export interface Route {
  readonly handler: Handler
  /** Fastify's route `config`, by which a route opts out of a plugin or into it. */
  readonly config?: object | undefined
}

/** `'GET /path'` and what answers it. `GET` answers `HEAD` too. */
export type Routes = Readonly<Record<string, Handler | Route>>

/** Where and how the Fastify plugin is registered. The others have one way: before the routes. */
export const REGISTRATIONS = ['plain', 'awaited', 'late', 'encapsulated'] as const
export type Registration =
  /** `app.register(...)`, then the routes. */
  | 'plain'
  /** `await app.register(...)`, then the routes. */
  | 'awaited'
  /** The routes, then `app.register(...)`. */
  | 'late'
  /** In a child scope together with the routes; the routes of `outside` stand on the root. */
  | 'encapsulated'

export interface Site {
  readonly routes: Routes
  readonly mounts?: Mounts | undefined
  /** Install the error handler of a user who wants errors in a form of their own. Default: the framework's. */
  readonly ownErrorHandler?: boolean
  /** Default: `'plain'`. */
  readonly registration?: Registration
  /** Fastify, `encapsulated`: routes outside of the plugin's scope. */
  readonly outside?: Routes
  /** What `NODE_ENV` would be. Default: `'test'`, in which the frameworks' own handlers print nothing. */
  readonly env?: 'test' | 'development' | 'production'
  /** Fastify: log everything, and give each line to this. Default: no log. */
  readonly log?: ((line: string) => void) | undefined
  /** Fastify and Koa: speak HTTP/2 in the clear; `ask` does so too. Default: HTTP/1.1. */
  readonly http2?: boolean
}

/** An app that listens on a port of its own. */
export interface RunningApp {
  readonly origin: string
  /** What the user's own error handler saw, in order. */
  readonly errors: readonly unknown[]
  ask(path: string, init?: Ask): Promise<Answer>
  open(path: string, init?: Ask): Promise<IncomingMessage>
  /** Begins a GET whose answer nobody reads; destroying it is a client that leaves. */
  visit(path: string): { destroy(): unknown }
  /** Waits until every request so far has come in, and is over on the server's side too. */
  idle(): Promise<void>
  /** Closes the app as its users do: `server.close()`, or Fastify's `app.close()`. Idempotent. */
  close(): Promise<void>
}

/** Starts the site on a framework, on 127.0.0.1 and a free port. */
export async function start(framework: Framework, site: Site): Promise<RunningApp> {
  const errors: unknown[] = []
  const http2 = framework.endsWith('h2') || site.http2 === true
  if (framework === 'fastify5' || framework === 'fastify5h2') {
    const app = await fastifyApp(site, errors, http2)
    const active = countActive(app.server)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return running(app.server, http2, errors, active, () => app.close())
  }
  // HTTP/2 servers emit requests and responses of the same shape.
  const made: unknown = http2 ? createHttp2Server() : createServer()
  const server = made as Server
  const active = countActive(server)
  if (framework === 'express4') expressApp(express4(), server, site, errors)
  else if (framework === 'express5') expressApp(express(), server, site, errors)
  else koaApp(framework.startsWith('koa2') ? new Koa2() : new Koa(), server, site, errors)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return running(server, http2, errors, active, async () => {
    await new Promise((resolve) => server.close(resolve))
  })
}

/** Starts a site, works with it, and closes it in any case. */
export async function serving<T>(
  framework: Framework,
  site: Site,
  work: (app: RunningApp) => Promise<T>,
): Promise<T> {
  const app = await start(framework, site)
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

function running(
  server: Server,
  http2: boolean,
  errors: unknown[],
  active: () => number,
  shut: () => Promise<void>,
): RunningApp {
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const get = http2 ? openHttp2 : open
  // A session whose client has not ended it would keep the server from closing.
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session: { destroy(): void }) => sessions.add(session))
  let closing: Promise<void> | undefined
  return {
    origin,
    errors,
    ask: async (path, init) => readAnswer(origin + path, await get(origin + path, init)),
    open: (path, init) => get(origin + path, init),
    visit: (path) => (http2 ? visitHttp2 : visit)(origin + path),
    idle: async () => {
      await turns()
      await until(() => active() === 0, 'every response is over')
      await turns()
    },
    close: () => {
      for (const session of sessions) session.destroy()
      closing ??= shut()
      return closing
    },
  }
}

/** Listens first, so that it counts whatever becomes of the request later. */
function countActive(server: Server): () => number {
  let active = 0
  server.prependListener('request', (_req, res) => {
    const { stream } = res as { stream?: Duplex }
    // A stream of HTTP/2 may have been reset before its request is told of.
    if (stream?.closed) return
    active++
    ;(stream ?? res).once('close', () => active--)
  })
  return () => active
}

function expressApp(app: Express, server: Server, site: Site, errors: unknown[]): void {
  app.set('env', site.env ?? 'test')
  site.mounts?.express(app, server)
  for (const { method, path, handler } of routesOf(site.routes)) {
    app[method](path, (req: Request, res: Response, next: NextFunction) => {
      answerOf(handler, req).then((reply) => sendExpress(reply, res), next)
    })
  }
  if (site.ownErrorHandler) {
    app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
      errors.push(error)
      if (res.headersSent) next(error)
      else res.status(statusOf(error)).json(ownBody(error))
    })
  }
  server.on('request', app)
}

function sendExpress({ status = 200, headers = {}, body = 'ok' }: Reply, res: Response): void {
  res.status(status)
  for (const [name, value] of Object.entries(headers)) res.set(name, mutable(value))
  if (body instanceof Readable) pipeline(body, res, () => {})
  else res.send(body)
}

async function fastifyApp(site: Site, errors: unknown[], http2: boolean): Promise<FastifyInstance> {
  const { log } = site
  const logger = log === undefined ? false : { level: 'trace', stream: { write: log } }
  // An app over HTTP/2 has other types; nothing here uses what differs.
  const root = Fastify({ logger, ...(http2 && { http2: true as const }) } as object) as FastifyInstance
  const { mounts, registration = 'plain' } = site
  if (site.ownErrorHandler) {
    root.setErrorHandler((error, _request, reply) => {
      errors.push(error)
      return reply.code(statusOf(error)).send(ownBody(error))
    })
  }
  if (registration === 'encapsulated') {
    addFastifyRoutes(root, site.outside ?? {})
    root.register(async (scope) => {
      await mounts?.fastify(scope)
      addFastifyRoutes(scope, site.routes)
    })
  } else if (registration === 'late') {
    addFastifyRoutes(root, site.routes)
    mounts?.fastify(root)
  } else {
    const registered = mounts?.fastify(root)
    if (registration === 'awaited') await registered
    addFastifyRoutes(root, site.routes)
  }
  return root
}

function addFastifyRoutes(app: FastifyInstance, routes: Routes): void {
  for (const { method, path, handler, config = {} } of routesOf(routes)) {
    app[method](path, { config }, async (request: FastifyRequest, reply: FastifyReply) => {
      const { status = 200, headers = {}, body = 'ok' } = await answerOf(handler, request)
      for (const [name, value] of Object.entries(headers)) reply.header(name, value)
      return reply.code(status).send(body)
    })
  }
}

function koaApp(app: Koa, server: Server, site: Site, errors: unknown[]): void {
  const { env = 'test' } = site
  app.env = env
  app.silent = env === 'test'
  if (site.ownErrorHandler) {
    app.use(async (ctx, next) => {
      try {
        await next()
      } catch (error) {
        errors.push(error)
        ctx.status = statusOf(error)
        ctx.body = ownBody(error)
      }
    })
  }
  site.mounts?.koa(app, server)
  const routes = new Map(routesOf(site.routes).map((route) => [`${route.method} ${route.path}`, route]))
  app.use(async (ctx, next) => {
    const method = ctx.method === 'HEAD' ? 'get' : ctx.method.toLowerCase()
    const route = routes.get(`${method} ${ctx.path}`)
    if (route === undefined) return next()
    const { status = 200, headers = {}, body = 'ok' } = await answerOf(route.handler, ctx)
    ctx.status = status
    for (const [name, value] of Object.entries(headers)) ctx.set(name, mutable(value))
    ctx.body = body
  })
  server.on('request', app.callback() as RequestListener)
}

type Method = 'get' | 'post' | 'put' | 'delete'

function routesOf(routes: Routes): (Route & { readonly method: Method; readonly path: string })[] {
  return Object.entries(routes).map(([name, route]) => {
    const [method = '', path = ''] = name.split(' ')
    return {
      ...(typeof route === 'function' ? { handler: route } : route),
      method: method.toLowerCase() as Method,
      path,
    }
  })
}

/** A handler that throws rejects. */
async function answerOf(handler: Handler, native: Native): Promise<Reply> {
  return handler(native)
}

function mutable(value: string | readonly string[]): string | string[] {
  return typeof value === 'string' ? value : [...value]
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : 500
}

/** How the user's own error handler answers. */
function ownBody(error: unknown): object {
  return { problem: (error as { code?: unknown } | null)?.code ?? 'unknown' }
}
