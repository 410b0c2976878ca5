import type { SendHandle } from 'node:child_process'
import type { Server, Socket } from 'node:net'

/**
 * Moves a connection between two complete exchanges from one process to another (connection-state.ts says when), with
 * whatever its client is sending at that moment: the bytes wait in the kernel for the next reader. `node:cluster` hands
 * over new connections in the same way. The parts of Node that this needs are not documented (`_handle`, the parser of
 * `node:http`), so each is looked for first; without them a connection stays where it is and is closed the ordinary way.
 */

/** A TCP or pipe handle of Node. */
export interface Connector {
  readStop(): unknown
  close(): void
  getpeername?(into: { address?: string }): unknown
  readonly writeQueueSize?: number
}

interface Inner {
  _handle?: Partial<Connector> | null
  readonly parser?: { unconsume?(): void } | null
}

interface Listener {
  readonly _handle?: { onconnection?(error: number, handle: Connector): void } | null
}

/** As `process.send` takes it along with a message. Its type says nothing of bare handles. */
export function sendable(handle: Connector): SendHandle {
  return handle as object as SendHandle
}

/** Takes the handle out of a connection between two exchanges; what is left of the socket is over. */
export function detach(socket: Socket): Connector | undefined {
  const inner: Socket & Inner = socket
  const handle = inner._handle
  if (!isTransferable(handle) || socket.destroyed) return undefined
  // What has been taken from the kernel must have been parsed, what was written must have gone to it.
  if (socket.readableLength > 0 || socket.readableEnded) return undefined
  if (socket.writableEnded || socket.writableLength > 0 || (handle.writeQueueSize ?? 0) > 0) return undefined
  handle.readStop()
  inner.parser?.unconsume?.()
  inner._handle = null
  socket.destroy()
  return handle
}

/** Gives a listening server a connection, as if it had been accepted just now: with all that it sets for a new one. */
export function attach(server: Server, handle: Connector): void {
  const { _handle } = server as Listener
  if (typeof _handle?.onconnection === 'function') _handle.onconnection(0, handle)
  else handle.close()
}

/** Whether a server takes one more connection; beyond its `maxConnections` it would drop it. */
export function hasRoom(server: Server): boolean {
  const { maxConnections, _connections = 0, listening } = server as Server & { _connections?: number }
  return listening && (!maxConnections || _connections < maxConnections)
}

export function isConnector(handle: unknown): handle is Connector {
  const { readStop, close } = (handle ?? {}) as Partial<Connector>
  return typeof readStop === 'function' && typeof close === 'function'
}

/** Whether the operating system can give it to another process: not the handle of TLS, nor one that an app has made up. */
function isTransferable(handle: unknown): handle is Connector {
  return isConnector(handle) && TRANSFERABLE.has(handle.constructor.name)
}

const TRANSFERABLE = new Set(['TCP', 'Pipe'])

/** The address of the client. */
export function addressOf(handle: Connector): string | undefined {
  const into: { address?: string } = {}
  handle.getpeername?.(into)
  return into.address
}

/** The name by which two processes know the same listener. */
export function placeName(server: Server): string | undefined {
  const address = server.address()
  if (address === null) return undefined
  return typeof address === 'string' ? address : `${address.address}:${address.port}`
}
