import type { Server } from 'node:http'
import type { Offloader } from '../offloader.js'

const closing = new WeakMap<Server, Set<Offloader>>()

/** Closes the offloader when the server has closed. A server gets one listener, however many offloaders it has. */
export function closeWith(server: Server, offloader: Offloader): void {
  const known = closing.get(server)
  if (known !== undefined) {
    known.add(offloader)
    return
  }
  const all = new Set([offloader])
  closing.set(server, all)
  server.once('close', () => {
    closing.delete(server)
    for (const each of all) void each.close()
  })
}
