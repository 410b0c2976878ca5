import type { Worker } from 'node:cluster'
import { type ConnectionHandle, isConnectionHandle } from './handles.js'

/*
 * Relies on: the messages that `node:cluster` sends itself over the channel of a worker, each marked `cmd: 'NODE_CLUSTER'`. They
 * arrive as the event 'internalMessage' of the worker's process and leave by its `send`.
 * Checked with: Node 20.20, 22.23, 24.21.
 * Where it is missing: no message fits, so nothing is filtered and no connection is known to be unacknowledged.
 */

const CLUSTER = 'NODE_CLUSTER'

interface ClusterMessage {
  readonly cmd?: unknown
  readonly act?: unknown
  readonly seq?: unknown
  readonly ack?: unknown
}

/** Drops the messages of a worker to `node:cluster` that ask to listen in a way that `isSound` does not accept. */
export function filterListenRequests({ process }: Worker, isSound: (request: object) => boolean): void {
  const emit = process.emit as (...args: unknown[]) => boolean
  const filtered = (name: string | symbol, ...args: unknown[]): boolean => {
    if (name === 'internalMessage' && !isAccepted(args[0], isSound)) return true
    return Reflect.apply(emit, process, [name, ...args])
  }
  process.emit = filtered as typeof process.emit
}

function isAccepted(message: unknown, isSound: (request: object) => boolean): boolean {
  if (typeof message !== 'object' || message === null) return false
  const { cmd, act } = message as ClusterMessage
  const asksToListen = cmd === CLUSTER && (act === 'queryServer' || act === 'listening')
  return !asksToListen || isSound(message)
}

/** Calls back with each new connection that `node:cluster` sends to a worker, and the number that it expects an answer to. */
export function onConnectionSent(
  { process }: Worker,
  sent: (number: number, connection: ConnectionHandle) => void,
): void {
  const send = process.send.bind(process)
  process.send = (message: unknown, handle?: unknown, ...rest: unknown[]) => {
    // Most messages bring no connection.
    if (handle !== undefined && isConnectionHandle(handle)) {
      const { cmd, act, seq } = (message ?? {}) as ClusterMessage
      if (cmd === CLUSTER && act === 'newconn' && typeof seq === 'number') sent(seq, handle)
    }
    return Reflect.apply(send, process, [message, handle, ...rest])
  }
}

/** Calls back with the number of each message that a worker has answered. */
export function onAnswer({ process }: Worker, answered: (number: number) => void): void {
  process.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (typeof ack === 'number') answered(ack)
  })
}

/** Tells `node:cluster`, in the name of a worker, that it has not accepted a connection: another worker gets it. */
export function answerNotAccepted({ process }: Worker, number: number): void {
  process.emit('internalMessage', { cmd: CLUSTER, ack: number, accepted: false })
}
