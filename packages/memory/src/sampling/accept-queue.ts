import cluster from 'node:cluster'
import { closeSync, openSync, readSync } from 'node:fs'
import { isIPv4, type Server } from 'node:net'
import { endianness } from 'node:os'

/** A file of the kernel; each read from its beginning returns the present state. */
export interface KernelFile {
  /** Fills the buffer from `start` to `end` with the same part of the file; returns how many bytes there were. */
  read(buffer: Buffer, start: number, end: number): number
  close(): void
}

/** Bytes of the file that are searched: the kernel lists listening sockets first, 27 of them in 4,096 bytes. */
const LOOKED_AT = 16_384
const PAGE = 4_096

/**
 * Length of the kernel's accept queue: established connections that the process has not accepted yet. Node accepts one in
 * each turn of its event loop, so this is where connections wait when there are more than can be served. Linux tells its length in `/proc/net/tcp` (proc(5): the
 * receive queue of a listening socket). The kernel writes what is asked for and walks its table of connections for it:
 * once the row of our socket is found, no byte behind it is asked for.
 *
 * The length is unknown on other systems, for a socket that other processes accept from as well (a worker of
 * `node:cluster`, `reusePort`), and for a server that drops connections of its own accord (`maxConnections`).
 */
export class AcceptQueue {
  readonly #server: () => Server | undefined
  readonly #open: (path: string) => KernelFile | undefined
  readonly #text = Buffer.allocUnsafe(LOOKED_AT)
  #of: Server | undefined
  #row = /(?!)/g
  #file: KernelFile | undefined
  /** Where the receive queue in our row ends, as far as is known. */
  #end: number | undefined

  /** `server`: returns the server that received the last request. */
  constructor(server: () => Server | undefined, open = openKernelFile) {
    this.#server = server
    this.#open = open
  }

  /** The server whose queue is read. */
  get server(): Server | undefined {
    return this.#server()
  }

  length(): number | undefined {
    const server = this.#server()
    if (server !== this.#of) this.#turnTo(server)
    if (this.#file === undefined) return undefined
    return this.#readAgain() ?? this.#search()
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
    this.#end = undefined
    this.#of = undefined
  }

  #readAgain(): number | undefined {
    if (this.#end === undefined) return undefined
    const size = this.#file!.read(this.#text, 0, this.#end)
    return this.#find(size).length
  }

  /** Page by page, up to the row. A socket that is not found is not looked for again. */
  #search(): number | undefined {
    for (let size = 0; size < LOOKED_AT; ) {
      const more = this.#file!.read(this.#text, size, Math.min(size + PAGE, LOOKED_AT))
      size += more
      const { length, end, several } = this.#find(size)
      if (several || more === 0) break
      this.#end = end
      if (length !== undefined) return length
    }
    this.#file?.close()
    this.#file = undefined
    return undefined
  }

  #find(size: number): { length?: number; end?: number; several?: boolean } {
    this.#row.lastIndex = 0
    const text = this.#text.toString('latin1', 0, size)
    const found = this.#row.exec(text)
    if (found === null) return {}
    const end = this.#row.lastIndex
    return { length: Number.parseInt(found[1]!, 16), end, several: this.#row.exec(text) !== null }
  }

  #turnTo(server: Server | undefined): void {
    this.close()
    this.#of = server
    const address = server?.address()
    if (typeof address !== 'object' || address === null) return // closed, or a socket with a path
    if (cluster.isWorker || typeof server?.maxConnections === 'number') return
    const port = address.port.toString(16).toUpperCase().padStart(4, '0')
    // `<slot>: <local address>:<port> <remote address>:0000 0A <transmit queue>:<receive queue>`; 0A is "listening".
    const row = `: ${inHex(address.address)}:${port} [0-9A-F]+:0000 0A [0-9A-F]{8}:([0-9A-F]{8})`
    this.#row = new RegExp(row, 'g')
    this.#file = this.#open(isIPv4(address.address) ? '/proc/net/tcp' : '/proc/net/tcp6')
  }
}

/** As the kernel writes it: an IPv4 address is one number in the machine's order of bytes. */
function inHex(address: string): string {
  if (address === '::') return '0{32}'
  if (!isIPv4(address)) return '[0-9A-F]{32}'
  const bytes = Buffer.from(address.split('.').map(Number))
  return (endianness() === 'LE' ? bytes.reverse() : bytes).toString('hex').toUpperCase()
}

function openKernelFile(path: string): KernelFile | undefined {
  try {
    const file = openSync(path, 'r')
    return {
      read: (buffer, start, end) => readSync(file, buffer, start, end - start, start),
      close: () => closeSync(file),
    }
  } catch {
    return undefined
  }
}
