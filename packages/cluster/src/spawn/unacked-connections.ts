import type { Worker } from 'node:cluster'
import { answerNotAccepted, onAnswer, onConnectionSent } from '../node-internals/cluster-channel.js'
import type { ConnectionHandle } from '../node-internals/handles.js'

/**
 * The unacknowledged connections of one worker: sent to it, not yet accepted. `node:cluster` gives each connection to one worker
 * and waits for the answer. A worker that was killed never answers, and the client would wait for ever. So the answer "not
 * accepted" is given in its name, and the connection goes to another worker.
 */
export class UnackedConnections {
  readonly #worker: Worker
  readonly #unacked = new Map<number, ConnectionHandle>()

  constructor(worker: Worker) {
    this.#worker = worker
    onConnectionSent(worker, (number, handle) => this.#unacked.set(number, handle))
    onAnswer(worker, (number) => this.#unacked.delete(number))
  }

  /**
   * To be called when the worker is dead. Returns how many connections it left.
   *
   * @param others whether other workers may take the connections; else they are closed
   */
  release(others: boolean): number {
    const { size } = this.#unacked
    for (const [number, handle] of this.#unacked) {
      if (others) answerNotAccepted(this.#worker, number)
      else handle.close()
    }
    this.#unacked.clear()
    return size
  }
}
