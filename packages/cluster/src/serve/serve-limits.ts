import type { Server as HttpServer } from 'node:http'
import type { SecureServerOptions } from 'node:http2'
import type { Server } from 'node:net'
import { checkRequestsEvery, http2SettingsOf } from '../node-internals/server-settings.js'
import type { ResetLimits } from './stream-resets.js'

/** Options of `http2.createSecureServer`, without the key, certificate and CA, which come from `tls`. */
export type Http2Options = Omit<SecureServerOptions, 'key' | 'cert' | 'ca' | 'allowHTTP1'> & {
  /** Streams that a client may reset at once, and per second after that; then its connection is ended. */
  readonly streamResetBurst?: number
  readonly streamResetRate?: number
}

/** Milliseconds; 0: no limit. `undefined`: not decided. */
export interface RequestLimits {
  readonly headersTimeout: number | undefined
  readonly requestTimeout: number | undefined
}

/**
 * A head is a packet or two: a client that has not sent it in 15 s is not going to. A whole request gets two minutes, which
 * is 100 MB at 7 Mbit/s; Node's own five leave each place of a concurrency limit to a client that sends a byte at a time.
 */
export const REQUEST_LIMITS = Object.freeze({ headersTimeout: 15_000, requestTimeout: 120_000 })

/** Node's defaults: a server that still has them was given no limit by the app. */
const UNDECIDED = Object.freeze({ headersTimeout: 60_000, requestTimeout: 300_000 })

/** Fastify's own for the whole request: no limit. */
const FASTIFY_UNDECIDED = 0

/**
 * 128 streams is what nginx allows, and more than a browser uses. A client that opens and resets streams without end
 * (CVE-2023-44487) costs a handler each time: beyond 200 at once and 33 a second, its connection is ended. Node's own bounds
 * are no streams' limit at all, and resets of 1,000 and 33.
 */
export const HTTP2_LIMITS = Object.freeze({
  settings: Object.freeze({ maxConcurrentStreams: 128 }),
  streamResetBurst: 200,
  streamResetRate: 33,
})

/** The options of an HTTP/2 server: the defaults of this package, where the app gives none. */
export function http2Options({ settings, ...given }: Http2Options): Http2Options {
  return { ...HTTP2_LIMITS, ...given, settings: { ...HTTP2_LIMITS.settings, ...settings } }
}

/** The limits on streams that this package enforces itself. */
export function resetLimits(given: Http2Options): ResetLimits {
  const { settings, streamResetBurst, streamResetRate } = http2Options(given)
  return {
    streamResetBurst: streamResetBurst ?? HTTP2_LIMITS.streamResetBurst,
    streamResetRate: streamResetRate ?? HTTP2_LIMITS.streamResetRate,
    streams: settings?.maxConcurrentStreams ?? HTTP2_LIMITS.settings.maxConcurrentStreams,
  }
}

/**
 * Limits how long a client may take to send a request, and returns the limits that hold now. A server that came with limits of
 * its own keeps them.
 */
export function limitRequests(
  server: Server,
  limits: RequestLimits,
  fastify: boolean,
): { readonly headersTimeout: number; readonly requestTimeout: number } {
  const http = server as Partial<HttpServer>
  const own = { headersTimeout: http.headersTimeout, requestTimeout: http.requestTimeout }
  const undecided =
    own.requestTimeout === UNDECIDED.requestTimeout || (fastify && own.requestTimeout === FASTIFY_UNDECIDED)
  const requestTimeout =
    limits.requestTimeout ?? (undecided ? undefined : own.requestTimeout) ?? REQUEST_LIMITS.requestTimeout
  const headersTimeout =
    limits.headersTimeout ??
    (own.headersTimeout === UNDECIDED.headersTimeout ? undefined : own.headersTimeout) ??
    REQUEST_LIMITS.headersTimeout
  // An HTTP/2 server without HTTP/1 has neither.
  if (own.requestTimeout === undefined || own.headersTimeout === undefined)
    return { headersTimeout, requestTimeout }
  Object.assign(http, { headersTimeout, requestTimeout })
  // By itself Node looks for late requests each half minute, so that 15 s would be 45.
  const shortest = Math.min(...[headersTimeout, requestTimeout].filter((each) => each > 0))
  checkRequestsEvery(server, Math.max(50, Math.ceil(shortest / 3)))
  return { headersTimeout, requestTimeout }
}

/** Gives an HTTP/2 server that the app has made our number of streams, unless it has one. */
export function limitStreams(server: Server): void {
  const http2 = server as Server & { updateSettings?(settings: object): void }
  if (typeof http2.updateSettings !== 'function') return
  const settings = http2SettingsOf(server)
  if (settings === undefined || settings.maxConcurrentStreams !== undefined) return
  http2.updateSettings({ ...settings, ...HTTP2_LIMITS.settings })
}
