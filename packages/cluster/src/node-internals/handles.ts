import type { SendHandle } from 'node:child_process'
import type { Server, Socket } from 'node:net'

/*
 * Relies on: `_handle` of a socket or server (libuv's TCP or pipe), `onconnection` of a listening handle, `unconsume` of the HTTP
 * parser, `_connections` of a server. `node:cluster` hands over new connections by the same means.
 * Checked with: Node 20.20, 22.23, 24.21.
 * Where it is missing: a connection cannot be detached, stays in its process and is closed in the ordinary way.
 */

/** A TCP or pipe handle of Node. */
export interface ConnectionHandle {
  readStop(): unknown
  close(): void
  getpeername?(into: { address?: string }): unknown
  readonly writeQueueSize?: number
}

interface Inner {
  _handle?: Partial<ConnectionHandle> | null
  readonly parser?: { unconsume?(): void } | null
}

interface Listener {
  readonly _handle?: { onconnection?(error: number, handle: ConnectionHandle): void } | null
}

/** As `process.send` takes it along with a message. Its type says nothing of bare handles. */
export function sendable(handle: ConnectionHandle): SendHandle {
  return handle as object as SendHandle
}

/** Takes the handle out of a socket of which nothing was read; the rest of the socket is destroyed. */
export function takeHandle(socket: Socket): ConnectionHandle | undefined {
  const inner: Socket & Inner = socket
  const handle = inner._handle
  if (!isConnectionHandle(handle)) return undefined
  inner._handle = null
  socket.destroy()
  return handle
}

/**
 * Takes the handle out of a connection between two exchanges (connections/connection-state.ts says when), to be given to
 * another process: what its client is sending at that moment waits in the kernel for that process. The rest of the socket is
 * destroyed.
 */
export function detach(socket: Socket): ConnectionHandle | undefined {
  const inner: Socket & Inner = socket
  const handle = inner._handle
  if (!isTransferable(handle) || socket.destroyed) return undefined
  // What has been taken from the kernel must have been parsed, what was written must have gone to it.
  if (socket.readableLength > 0 || socket.readableEnded) return undefined
  if (socket.writableEnded || socket.writableLength > 0 || (handle.writeQueueSize ?? 0) > 0) return undefined
  handle.readStop()
  inner.parser?.unconsume?.()
  return takeHandle(socket)
}

/** Gives a listening server a connection, as if it had been accepted just now: with all that it sets for a new one. */
export function attach(server: Server, handle: ConnectionHandle): void {
  const { _handle } = server as Listener
  if (typeof _handle?.onconnection === 'function') _handle.onconnection(0, handle)
  else handle.close()
}

/** Whether a server takes one more connection; beyond its `maxConnections` it would drop it. */
export function hasRoom(server: Server): boolean {
  const { maxConnections, _connections = 0, listening } = server as Server & { _connections?: number }
  return listening && (!maxConnections || _connections < maxConnections)
}

/** Whether what came with a message is the handle of a connection. */
export function isConnectionHandle(handle: unknown): handle is ConnectionHandle {
  const { readStop, close } = (handle ?? {}) as Partial<ConnectionHandle>
  return typeof readStop === 'function' && typeof close === 'function'
}

/** Whether the operating system can give it to another process: not the handle of TLS, nor one that an app has made up. */
function isTransferable(handle: unknown): handle is ConnectionHandle {
  return isConnectionHandle(handle) && TRANSFERABLE.has(handle.constructor.name)
}

const TRANSFERABLE = new Set(['TCP', 'Pipe'])

/** The address of the client. */
export function addressOf(handle: ConnectionHandle): string | undefined {
  const into: { address?: string } = {}
  handle.getpeername?.(into)
  return into.address
}
