import { createHash } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { StartError } from '../errors.js'
import { marked } from '../ipc/messages.js'
import { sendable, takeHandle } from '../node-internals/handles.js'
import type { WorkerProcess } from '../spawn/worker-process.js'

/** The name under which the first `serve()` of a worker knows its connections. */
export const STICKY = 'sticky:0'

/**
 * Listens in the primary and gives all connections of one client address to one worker, by rendezvous hashing over the
 * workers' places (Thaler and Ravishankar, 1998): when a worker is replaced, all of its clients go to its
 * replacement; when one is added or removed, only its share of the clients moves.
 */
export class StickyListener {
  readonly #server: Server
  readonly #workers: () => Iterable<WorkerProcess>

  constructor(workers: () => Iterable<WorkerProcess>) {
    this.#workers = workers
    // The primary may read no byte: the worker would miss it.
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#dispatch(socket))
  }

  /** Resolves with the port. @throws StartError `ERR_CLUSTER_PORT` */
  listen(port: number, host: string | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      // Later errors report clients that could not be accepted, for want of descriptors: those clients try again.
      this.#server.on('error', (error) => reject(new StartError(error.message, 'ERR_CLUSTER_PORT')))
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  close(): void {
    this.#server.close()
  }

  #dispatch(socket: Socket): void {
    const worker = chosen(socket.remoteAddress ?? '', this.#workers())
    // A client may go away before its connection has left this process.
    socket.on('error', () => {})
    const handle = worker === undefined ? undefined : takeHandle(socket)
    if (worker === undefined || handle === undefined) {
      socket.destroy()
      return
    }
    worker.handle.process.send(
      marked({ type: 'connection', listener: STICKY, used: false, tried: [worker.id] }),
      sendable(handle),
      undefined,
      () => handle.close(),
    )
  }
}

/** The ready worker whose place has the highest hash with this address; of two in one place, the newer. */
export function chosen(address: string, workers: Iterable<WorkerProcess>): WorkerProcess | undefined {
  let best: WorkerProcess | undefined
  let highest = -1
  for (const worker of workers) {
    if (worker.state !== 'ready') continue
    const score = hash(`${address} ${worker.slot}`)
    if (score > highest || (score === highest && worker.id > (best?.id ?? 0))) {
      best = worker
      highest = score
    }
  }
  return best
}

function hash(text: string): number {
  return createHash('sha1').update(text).digest().readUInt32BE(0)
}
