import type { RequestListener } from 'node:http'
import type { Server } from 'node:net'
import {
  anything,
  boolean,
  type Duration,
  defineOptions,
  duration,
  either,
  having,
  integer,
  list,
  MAX_TIMER,
  misuse,
  nested,
  optional,
  orFalse,
  string,
} from '@spillway/kit'
import { handleCrashes } from '../worker/crash.js'
import { runtime } from '../worker/runtime.js'
import { handleWorkerSignals } from '../worker/worker-signals.js'
import { listenAddressOf } from './listen-address.js'
import {
  type Http2Options,
  limitRequests,
  limitStreams,
  type RequestLimits,
  resetLimits,
} from './serve-limits.js'
import type { Served } from './served.js'
import { ServedApp } from './served-app.js'
import { type FastifyLike, isFastify, type KoaLike, serverOf } from './server-of.js'
import { boundBodies } from './stream-bodies.js'
import { boundResets } from './stream-resets.js'
import { TlsFiles, type TlsOptions } from './tls-files.js'

/** What `serve` takes: a server of Node, a request handler (Express), a Koa app or a Fastify app. */
export type Servable = Server | RequestListener | KoaLike | FastifyLike

/** How `serve()` ends without a supervisor. */
export interface ServeDrainOptions {
  /**
   * How long requests in flight may take when the process stops; then they are cut off. A supervisor's own setting wins.
   * Default: `'30s'`.
   */
  readonly timeout?: Duration
  /** How long readiness says 503 before a stop closes the listener. A supervisor's own setting wins. Default: `0`. */
  readonly delay?: Duration
}

/** Options of `serve()`. */
export interface ServeOptions {
  /** Default: the environment's `PORT`, else 3000. 0: any; the same one after a restart of a worker. */
  readonly port?: number
  /** Default: every interface. */
  readonly host?: string
  /** Listen on this unix socket instead. One that was left over by a crash is removed. */
  readonly path?: string
  /** Connections that may wait to be accepted. Default: Node's 511. */
  readonly backlog?: number
  /** HTTPS. Files are read again when they change, without a restart. Default: plain HTTP. */
  readonly tls?: TlsOptions
  /**
   * With `tls`: HTTP/2 as well as HTTP/1.1. Not for Express. An object: options of Node's `http2.createSecureServer`, over
   * the defaults of 128 streams of a connection at once, and 200 resets (then 33 a second). Default: `false`.
   */
  readonly http2?: boolean | Http2Options
  /**
   * How long a client may take to send the head of a request; then it gets 408. `false`: no limit. A server that came with a
   * limit of its own keeps it. Default: `'15s'`.
   */
  readonly headersTimeout?: Duration | false
  /**
   * How long a client may take to send a request with its body. Then an HTTP/1 client gets 408, or is cut off; an HTTP/2
   * stream is reset, unless its response has begun. Raise it for large uploads. `false`: no limit. A server that came with a
   * limit of its own keeps it. Default: `'2m'`.
   */
  readonly requestTimeout?: Duration | false
  readonly drain?: ServeDrainOptions
  /** Closed after the server has drained, the last first: pools, caches, monitors. Default: none. */
  readonly close?: readonly { close(): unknown }[]
  /** `false`: not ready by listening; call `ready()` when caches are warm. Default: `true`. */
  readonly ready?: boolean
  /**
   * An uncaught exception or unhandled rejection is logged once, the process drains and exits with 1: its state is
   * unknown, so it never goes on. Default: `true`.
   */
  readonly crash?: boolean
  /** SIGTERM and SIGINT drain and end the process; a second one ends it at once. Default: `true`. */
  readonly signals?: boolean
}

const port = integer({ min: 0, max: 65_535 })

const resolveOptions = defineOptions(
  'cluster',
  'serve',
  {
    port: optional(port),
    host: optional(string()),
    path: optional(string()),
    backlog: optional(integer({ min: 1 })),
    tls: optional(anything),
    http2: either(boolean, having<Http2Options>('an object of options of http2.createSecureServer')),
    headersTimeout: optional(orFalse(duration({ min: 1, max: MAX_TIMER }))),
    requestTimeout: optional(orFalse(duration({ min: 1, max: MAX_TIMER }))),
    drain: nested({ timeout: duration(), delay: duration() }, { timeout: 30_000, delay: 0 }),
    close: list(having<{ close(): unknown }>('an object', 'close')),
    ready: boolean,
    crash: boolean,
    signals: boolean,
  },
  { http2: false, drain: {}, close: [], ready: true, crash: true, signals: true },
)

/** Numbers the calls, so that the next process of this app finds the port that this one had. */
let calls = 0

/**
 * Listens, and sees to it that nothing is lost when this process has to go: under a `Supervisor` or alone.
 *
 * ```js
 * await serve(app, { port: 3000, close: [pool] })
 * ```
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`; TypeError `ERR_CLUSTER_APP` for something that cannot be served;
 *   the error of `listen` as it is
 */
export async function serve(app: Servable, options: ServeOptions = {}): Promise<Served> {
  const { tls, ready, crash, signals, drain, close, http2, ...limits } = resolveOptions(options)
  const requestLimits = limitsOf(limits)
  const givenHttp2 = typeof http2 === 'object' ? http2 : {}
  const index = calls++
  const host = runtime()
  host.begin()
  const undo = [
    ...(crash ? [handleCrashes(host)] : []),
    ...(signals ? [handleWorkerSignals(host, drain)] : []),
  ]
  try {
    const files = tls === undefined ? undefined : new TlsFiles(tls as TlsOptions)
    const { server, close: closeApp } = await serverOf(app, {
      tls: files,
      http2: http2 === false ? false : givenHttp2,
    })
    const { requestTimeout } = limitRequests(server, requestLimits, isFastify(app))
    limitStreams(server)
    const closers = [
      ...close.map((each) => () => each.close()),
      ...(closeApp === undefined ? [] : [closeApp]),
    ]
    const served = new ServedApp(host, server, { index, files, closers, undo, timeout: drain.timeout })
    if ('updateSettings' in server) {
      // After the server is followed: a stream that is refused here is no request.
      boundResets(server, resetLimits(givenHttp2))
      boundBodies(server, requestTimeout)
    }
    await served.open(listenAddressOf(options, host.settings?.ports[index] ?? undefined))
    if (ready) served.onReady(false)
    return served
  } catch (error) {
    for (const each of undo) each()
    throw error
  }
}

interface GivenLimits {
  readonly headersTimeout: number | false | undefined
  readonly requestTimeout: number | false | undefined
}

/** Milliseconds; 0, which Node takes for no limit, for `false`. @throws RangeError `ERR_CLUSTER_OPTION` */
function limitsOf({ headersTimeout, requestTimeout }: GivenLimits): RequestLimits {
  if (headersTimeout && requestTimeout && headersTimeout > requestTimeout) {
    throw misuse(
      RangeError,
      'ERR_CLUSTER_OPTION',
      `serve option "headersTimeout" must not be longer than "requestTimeout", which the head is a part of`,
    )
  }
  return {
    headersTimeout: headersTimeout === false ? 0 : headersTimeout,
    requestTimeout: requestTimeout === false ? 0 : requestTimeout,
  }
}
