import type { SendHandle } from 'node:child_process'
import { type Server, Socket, type SocketConstructorOpts } from 'node:net'

/**
 * Moves an idle connection from one process to another, with whatever its client is sending at that moment: the bytes
 * wait in the kernel for whoever reads next. `node:cluster` hands over new connections in the same way. The parts of
 * Node that this needs are not documented (`_handle`, the parser of `node:http`), so each is looked for first; without
 * them a connection stays where it is and is closed the ordinary way.
 */

/** A TCP or pipe handle of Node. */
export interface Connector {
  readStop(): unknown
  close(): void
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

/** Takes the handle out of a connection between two requests; what is left of the socket is over. */
export function detach(socket: Socket): Connector | undefined {
  const inner: Socket & Inner = socket
  const handle = inner._handle
  if (!isConnector(handle) || socket.destroyed || socket.writableEnded) return undefined
  if (socket.writableLength > 0 || (handle.writeQueueSize ?? 0) > 0) return undefined
  handle.readStop()
  inner.parser?.unconsume?.()
  inner._handle = null
  socket.destroy()
  return handle
}

/** Gives a server a connection, as if it had been accepted just now. */
export function attach(server: Server, handle: Connector): void {
  const inner: Server & Listener = server
  if (typeof inner._handle?.onconnection === 'function') {
    inner._handle.onconnection(0, handle)
    return
  }
  // A server that does not listen itself: behind a sticky listener.
  const options: SocketConstructorOpts & { handle: Connector } = { handle, allowHalfOpen: true }
  server.emit('connection', new Socket(options))
}

export function isConnector(handle: unknown): handle is Connector {
  const { readStop, close } = (handle ?? {}) as Partial<Connector>
  return typeof readStop === 'function' && typeof close === 'function'
}

/** The name by which two processes know the same listener. */
export function placeName(server: Server): string | undefined {
  const address = server.address()
  if (address === null) return undefined
  return typeof address === 'string' ? address : `${address.address}:${address.port}`
}
