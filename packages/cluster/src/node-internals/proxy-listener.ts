import { once } from 'node:events'
import { isIPv6, type Server } from 'node:net'
import { misuse } from '@spillway/kit'
import type { StickyOptions } from '../options.js'

/*
 * Relies on: `_listen2` of a server, and that it takes a `_handle` which is there already for the listening one.
 * Checked with: Node 20.20, 22.23, 24.21.
 * Where it is missing: `ERR_CLUSTER_STICKY` at the start.
 */

interface Listenable {
  _handle?: unknown
  _listen2?(address: string, port: number, addressType: 4 | 6): void
}

/**
 * Lets a server listen where another process accepts for it. As with the round-robin of `node:cluster`, an object stands in
 * for the listening handle; so connections reach the server by Node's own way, with everything that it sets for new ones
 * (timeouts, no-delay, `maxConnections`), and 'listening', `address()` and `close()` mean what they always mean.
 *
 * @throws Error `ERR_CLUSTER_STICKY` on a Node that has no such way
 */
export async function listenByProxy(server: Server, { host = '::', port }: StickyOptions): Promise<void> {
  const inner = server as Server & Listenable
  if (typeof inner._listen2 !== 'function') {
    throw misuse(TypeError, 'ERR_CLUSTER_STICKY', `sticky does not work on Node ${process.version}`)
  }
  const family = isIPv6(host) ? 6 : 4
  inner._handle = {
    listen: () => 0,
    close() {},
    ref() {},
    unref() {},
    getsockname(into: object) {
      Object.assign(into, { address: host, family: `IPv${family}`, port })
      return 0
    },
  }
  const listening = once(server, 'listening')
  inner._listen2(host, port, family)
  await listening
}
