import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

export const HOST = '127.0.0.1'

// Below the range that the kernel hands to outgoing connections (32768 and up on Linux): a port stays ours while its
// server is down for a moment. And low enough for port + 10000, the bus of a Redis Cluster node, to be below it too.
const LOWEST = 10_000
const HIGHEST = 22_700
const BUS_OFFSET = 10_000
const ATTEMPTS = 200

// Given out by this process: two servers that start side by side must not be told the same port.
const given = new Set<number>()

export interface FreePortOptions {
  /** The port 10,000 above must be free as well. Default: false. */
  readonly withBus?: boolean
}

/**
 * A port on 127.0.0.1 that nobody listens on. Another process can still take it before its server starts, so whoever
 * starts a server tries again with another one when the address is in use.
 */
export async function freePort({ withBus = false }: FreePortOptions = {}): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST)
    const ports = withBus ? [port, port + BUS_OFFSET] : [port]
    if (ports.some((each) => given.has(each))) continue
    for (const each of ports) given.add(each)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return port
  }
  throw new Error(`No free port found in ${ATTEMPTS} attempts between ${LOWEST} and ${HIGHEST}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: HOST, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
