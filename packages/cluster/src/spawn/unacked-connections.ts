import type { Worker } from 'node:cluster'
import { type Connector, isConnector } from '../node-internals/handles.js'

/** What `node:cluster` says to a worker with a new connection. Not documented; without it nothing is done here. */
interface NewConnection {
  readonly cmd: 'NODE_CLUSTER'
  readonly act: 'newconn'
  readonly seq: number
}

/**
 * Connections that were on their way to a worker when it died. `node:cluster` gives each to one worker and waits for its
 * answer; from a worker that was killed, or hung and was killed, none comes, and the client would wait for ever. So the
 * answer is given in its name, "not accepted", and the connection goes to another worker.
 */
export class Stranded {
  readonly #worker: Worker
  readonly #unanswered = new Map<number, Connector>()

  constructor(worker: Worker) {
    this.#worker = worker
    const { process } = worker
    const send = process.send.bind(process)
    process.send = (message: unknown, handle?: unknown, ...rest: unknown[]) => {
      // Most messages bring no connection.
      if (handle !== undefined && isConnector(handle) && isNewConnection(message)) {
        this.#unanswered.set(message.seq, handle)
      }
      return Reflect.apply(send, process, [message, handle, ...rest])
    }
    process.on('internalMessage', ({ ack }: { ack?: number }) => {
      if (ack !== undefined) this.#unanswered.delete(ack)
    })
  }

  /** The worker is dead. `others` tells whether somebody else may take its connections. */
  rescue(others: boolean): number {
    const { size } = this.#unanswered
    for (const [ack, handle] of this.#unanswered) {
      if (others) this.#worker.process.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false })
      else handle.close()
    }
    this.#unanswered.clear()
    return size
  }
}

function isNewConnection(message: unknown): message is NewConnection {
  const { cmd, act, seq } = (message ?? {}) as Partial<Record<keyof NewConnection, unknown>>
  return cmd === 'NODE_CLUSTER' && act === 'newconn' && typeof seq === 'number'
}
