import { closeSync, openSync, readSync } from 'node:fs'
import type { Server } from 'node:net'

/** The kernel lists listening sockets first, some 27 of them in a page. */
const PAGE = 4_096
const MOST_PAGES = 4

/**
 * Connections that the kernel has made and nobody has accepted yet. Node accepts one in each turn of its event loop
 * (libuv since 1.45), so under more connections than can be served the loop looks idle between two requests, and the
 * queue is here. Linux tells its length in `/proc/net/tcp` (proc(5): the receive queue of a listening socket), within a
 * microsecond; elsewhere it is not known and counts as empty.
 */
export class AcceptQueue {
  readonly #server: () => Server | undefined
  readonly #page = Buffer.allocUnsafe(PAGE)
  #of: Server | undefined
  #row: RegExp | undefined
  #file: number | undefined

  /** `server`: the one that is asked at present. */
  constructor(server: () => Server | undefined) {
    this.#server = server
  }

  length(): number {
    const server = this.#server()
    if (server !== this.#of) this.#turnTo(server)
    if (this.#file === undefined || this.#row === undefined) return 0
    for (let page = 0, at = 0; page < MOST_PAGES; page++) {
      const size = readSync(this.#file, this.#page, 0, PAGE, at)
      const found = this.#row.exec(this.#page.toString('latin1', 0, size))
      if (found !== null) return Number.parseInt(found[1]!, 16)
      if (size < PAGE / 2) break
      at += size
    }
    return 0
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    this.#row = undefined
    this.#of = undefined
  }

  #turnTo(server: Server | undefined): void {
    this.close()
    this.#of = server
    const address = server?.address()
    if (typeof address !== 'object' || address === null) return // closed, or a socket with a path
    const port = address.port.toString(16).toUpperCase().padStart(4, '0')
    // `<slot>: <local address>:<port> <remote address>:0000 0A <transmit queue>:<receive queue>`; 0A is "listening".
    this.#row = new RegExp(`: [0-9A-F]+:${port} [0-9A-F]+:0000 0A [0-9A-F]{8}:([0-9A-F]{8})`)
    try {
      this.#file = openSync(address.family === 'IPv6' ? '/proc/net/tcp6' : '/proc/net/tcp', 'r')
    } catch {
      this.#file = undefined
    }
  }
}
