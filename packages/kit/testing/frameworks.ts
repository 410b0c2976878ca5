/// <reference path="./versions.d.ts" />
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import express4 from 'express4'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import Koa, { type Context } from 'koa'
import Koa2 from 'koa2'
import { type Answer, type Ask, ask, open } from './client.js'
import { turns, until } from './waiting.js'

/** Every framework version that the packages support. */
export const FRAMEWORKS = ['express4', 'express5', 'fastify5', 'koa2', 'koa3'] as const
export type Framework = (typeof FRAMEWORKS)[number]

/** How a package puts its adapter on an app, as its user would: one line of native code per framework. */
export interface Mounts {
  express(app: Express): unknown
  fastify(app: FastifyInstance): unknown
  koa(app: Koa): unknown
}

/** The framework's own request: Express's `req`, Fastify's `request`, Koa's `ctx`. */
export type Native = Request | FastifyRequest | Context

/** What a neutral route answers; each framework sends it in its own idiom (`res.send`, a returned value, `ctx.body`). */
export interface Reply {
  /** Default: 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Text, bytes or a stream. Default: none. */
  readonly body?: string | Buffer | Readable
}

export type Handler = (native: Native) => Reply | Promise<Reply>

export interface Route {
  readonly handler: Handler
  /** Fastify's route `config`, by which a route opts out of a plugin or into it. */
  readonly config?: object
}

/** Where and how the Fastify plugin is registered. The others have one way: before the routes. */
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
  /** `'GET /path'` and what answers it. `GET` answers `HEAD` too. */
  readonly routes: Readonly<Record<string, Handler | Route>>
  readonly mounts?: Partial<Mounts>
  /** Install the error handler of a user who wants errors in a form of their own. Default: the framework's. */
  readonly ownErrorHandler?: boolean
  readonly registration?: Registration
  /** Fastify, `encapsulated`: routes outside of the plugin's scope. */
  readonly outside?: Readonly<Record<string, Handler | Route>>
}

/** An app that listens on a port of its own. */
export interface RunningApp extends AsyncDisposable {
  readonly origin: string
  /** What the user's own error handler saw, in order. */
  readonly errors: readonly unknown[]
  ask(path: string, init?: Ask): Promise<Answer>
  open(path: string, init?: Ask): ReturnType<typeof open>
  /** Waits until every response so far is over on the server's side too. */
  idle(): Promise<void>
  /** Closes the app as its framework does (for Fastify this runs `onClose`). */
  close(): Promise<void>
}

/** Starts the site on a framework, on 127.0.0.1 and a free port. */
export async function start(framework: Framework, site: Site): Promise<RunningApp> {
  const errors: unknown[] = []
  if (framework === 'fastify5') {
    const app = await buildFastify(site, errors)
    const responses = countResponses(app.server)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return running(app.server, errors, responses, () => app.close())
  }
  const listener = framework.startsWith('express')
    ? buildExpress(framework === 'express4' ? express4 : express, site, errors)
    : buildKoa(framework === 'koa2' ? Koa2 : Koa, site, errors)
  const server = createServer(listener)
  const responses = countResponses(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return running(server, errors, responses, async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  })
}

function buildExpress(create: typeof express, site: Site, errors: unknown[]): RequestListener {
  const app = create()
  site.mounts?.express?.(app)
  for (const [method, path, { handler }] of routesOf(site.routes)) {
    const send = (reply: Reply, res: Response) => {
      res.status(reply.status ?? 200)
      for (const [name, value] of headersOf(reply)) res.set(name, value)
      if (reply.body instanceof Readable) pipeline(reply.body, res, () => {})
      else res.send(reply.body)
    }
    app[method](path, (req: Request, res: Response, next: NextFunction) => {
      Promise.try_(() => handler(req)).then((reply) => send(reply, res)).catch(next)
    })
  }
  if (site.ownErrorHandler) {
    app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
      errors.push(error)
      if (res.headersSent) next(error)
      else res.status(statusOf(error)).json(ownBody(error))
    })
  }
  return app
}
