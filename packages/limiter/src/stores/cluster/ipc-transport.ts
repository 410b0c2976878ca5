import cluster from 'node:cluster'
import type { BatchRequest, Transport } from '../remote/transport.js'
import { type ClusterMessage, machineTime, PROTOCOL, parseMessage } from './cluster-message.js'

/** The transports of this process: one listener for all, since Node warns of a leak from the eleventh on. */
const listeners = new Set<(message: unknown) => void>()

function listen(listener: (message: unknown) => void): void {
  if (listeners.size === 0) cluster.worker?.on('message', relay)
  listeners.add(listener)
}

function relay(message: unknown): void {
  for (const listener of listeners) listener(message)
}

interface Unanswered {
  resolve(numbers: readonly number[]): void
  reject(reason: Error): void
}

/** Sends batches from a worker to the primary, over the IPC channel of `node:cluster`. */
export class IpcTransport implements Transport {
  readonly source = 'cluster'
  readonly #unanswered = new Map<number, Unanswered>()
  /** The primary speaks another version of the protocol, so requests to it would be misunderstood. */
  #incompatible: Error | undefined
  #alive: (node: string) => void = () => {}

  bucketOf(key: string, limit: string): string {
    return `${limit} ${key}`
  }

  send({ id, keys, numbers, deadline }: BatchRequest): Promise<readonly number[]> {
    if (this.#incompatible !== undefined) return Promise.reject(this.#incompatible)
    const latest = machineTime() + deadline - performance.now()
    return new Promise<readonly number[]>((resolve, reject) => {
      this.#unanswered.set(id, { resolve, reject })
      this.#post({ spillway: 'limiter', type: 'ask', id, keys, numbers, latest }, reject)
    })
  }

  forget(id: number): void {
    this.#unanswered.delete(id)
  }

  open(alive: (node: string) => void): void {
    this.#alive = alive
    listen(this.#onMessage)
    this.#post({ spillway: 'limiter', type: 'hello', version: PROTOCOL }, () => {})
  }

  close(): void {
    listeners.delete(this.#onMessage)
    if (listeners.size === 0) cluster.worker?.off('message', relay)
  }

  readonly #onMessage = (raw: unknown): void => {
    const message = parseMessage(raw)
    if (message?.type === 'welcome') {
      this.#incompatible =
        message.version === PROTOCOL
          ? undefined
          : new Error(`The primary speaks version ${message.version} of the protocol, not ${PROTOCOL}`)
      this.#alive('')
    } else if (message?.type === 'answer') {
      const unanswered = this.#unanswered.get(message.id)
      if (message.numbers.length > 0) unanswered?.resolve(message.numbers)
      else unanswered?.reject(new Error('The call reached the primary too late'))
    }
  }

  #post(message: ClusterMessage, failed: (reason: Error) => void): void {
    if (!process.connected || process.send === undefined) {
      failed(new Error('The primary is gone'))
      return
    }
    process.send(message, undefined, undefined, (error: Error | null) => error && failed(error))
  }
}
