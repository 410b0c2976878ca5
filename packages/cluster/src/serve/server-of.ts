import { createServer, type RequestListener } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { Server } from 'node:net'
import { misuse } from '@spillway/kit'
import { type Http2Options, http2Options } from './serve-limits.js'
import type { TlsFiles } from './tls-files.js'

/** A Koa app, as far as serving needs it. */
export interface KoaLike {
  callback(): RequestListener
}

/** A Fastify app, as far as serving needs it. */
export interface FastifyLike {
  readonly server: Server
  ready(): PromiseLike<unknown>
  close(): PromiseLike<unknown>
  routing(req: never, res: never): void
}

/** A server, and what the app wants closed with it. */
export interface ServerParts {
  readonly server: Server
  /** Closes the app, after its server. */
  readonly close?: () => unknown
}

interface Protocols {
  readonly tls: TlsFiles | undefined
  readonly http2: Http2Options | false
}

/** The server for anything that can be served. @throws TypeError `ERR_CLUSTER_APP` */
export async function serverOf(app: unknown, protocols: Protocols): Promise<ServerParts> {
  if (app instanceof Server) return { server: app }
  if (isFastify(app)) {
    await app.ready()
    const close = () => app.close()
    // With TLS, a new server in front of Fastify's routing; else Fastify's own server, with the options that the app gave it.
    if (protocols.tls === undefined) return { server: app.server, close }
    return { server: created((req, res) => app.routing(req as never, res as never), protocols), close }
  }
  if (isKoa(app)) return { server: created(app.callback(), protocols) }
  if (typeof app === 'function') return { server: created(app as RequestListener, protocols) }
  throw misuse(
    TypeError,
    'ERR_CLUSTER_APP',
    'serve() takes a node:http server, a request handler, or an Express, Fastify or Koa app',
  )
}

function created(handler: RequestListener, protocols: Protocols): Server {
  const server = createdFor(handler, protocols)
  // Errors of `listen` reject `serve()`. Later ones report clients that could not be accepted, for want of descriptors:
  // without a listener each would end the process.
  return server.on('error', () => {})
}

function createdFor(handler: RequestListener, { tls, http2 }: Protocols): Server {
  if (tls === undefined) return createServer(handler)
  if (!http2) return createHttpsServer(tls.read(), handler)
  return createSecureServer({ ...http2Options(http2), ...tls.read(), allowHTTP1: true }, handler as never)
}

/** Whether `app` has the methods of a Fastify app that serving needs. */
export function isFastify(app: unknown): app is FastifyLike {
  const { ready, routing, server } = (app ?? {}) as Partial<FastifyLike>
  return typeof ready === 'function' && typeof routing === 'function' && server instanceof Server
}

function isKoa(app: unknown): app is KoaLike {
  return typeof app === 'object' && app !== null && typeof (app as Partial<KoaLike>).callback === 'function'
}
