import { Server } from 'node:net'
import type { Runtime } from '../worker/runtime.js'
import { ServedServer } from './served-server.js'

/**
 * Follows every server that the app makes listen without `serve()`, so that an unchanged app drains as well. Only
 * `listen` is wrapped; nothing else of the server changes.
 */
export function adoptServers(host: Runtime): void {
  const { listen } = Server.prototype
  Server.prototype.listen = function adopted(this: Server, ...args: unknown[]): Server {
    if (!host.followed.has(this)) {
      const served = ServedServer.of(this, host)
      host.servers.add(served)
      this.once('close', () => {
        host.servers.delete(served)
        host.followed.delete(this)
      })
      this.once('listening', () => host.onListening())
    }
    return Reflect.apply(listen, this, args) as Server
  }
}
