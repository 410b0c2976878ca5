import type { Server } from 'node:net'

/*
 * Relies on: `connectionsCheckingInterval` of an HTTP/1 server, which Node reads when the server begins to listen; the options
 * that an HTTP/2 server keeps under the symbol `options`.
 * Checked with: Node 20.20, 22.23, 24.21.
 * Where it is missing: Node looks for late requests each half minute, and an HTTP/2 server of the app keeps its number of
 * streams.
 */

/** Node's own interval. Milliseconds. */
const DEFAULT_INTERVAL = 30_000

/** Makes an HTTP/1 server look for late requests so often (milliseconds), unless the app has decided. */
export function checkRequestsEvery(server: Server, interval: number): void {
  const http = server as Server & { connectionsCheckingInterval?: number }
  if (http.connectionsCheckingInterval !== DEFAULT_INTERVAL) return
  http.connectionsCheckingInterval = Math.min(DEFAULT_INTERVAL, interval)
}

/** The settings that the app has given an HTTP/2 server; `undefined` when they cannot be told. */
export function http2SettingsOf(server: Server): { readonly maxConcurrentStreams?: number } | undefined {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'options')
  if (key === undefined) return undefined
  const options = (server as object as Record<symbol, { readonly settings?: object } | undefined>)[key]
  return options === undefined ? undefined : (options.settings ?? {})
}
