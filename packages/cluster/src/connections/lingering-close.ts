import type { Socket } from 'node:net'

/** How long a client may take to close its side after the server has. Milliseconds. */
const LONGEST = 1_000

/**
 * Closes a connection as RFC 9112 section 9.6 wants it: first our side only, while what the client still sends is read and
 * dropped. Otherwise the kernel would answer those bytes with a reset, which can destroy the last response on its way.
 */
export function lingeringClose(socket: Socket): void {
  socket.end()
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LONGEST).unref()
  socket.once('close', () => clearTimeout(timer))
}
