import type { Socket } from 'node:net'

/**
 * Writes a close frame (RFC 6455 section 5.5.1) to a connection that some WebSocket library owns. Frames are whole at
 * every `write` of a library, and a close frame may stand between the fragments of a message, so this is safe for all of
 * them; the client answers with its own close frame, and the library ends the connection as for any client that leaves.
 */
export function goingAway(socket: Socket, code: number): void {
  if (!socket.writable) return
  const frame = Buffer.alloc(4)
  frame[0] = 0x88 // final frame, opcode 8
  frame[1] = 2 // two bytes, unmasked as all frames of a server
  frame.writeUInt16BE(code, 2)
  socket.write(frame)
}
