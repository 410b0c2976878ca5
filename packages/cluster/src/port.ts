import { createServer } from 'node:net'
import { StartError } from './errors.js'

/**
 * Resolves when this process can listen on the port.
 *
 * @throws StartError `ERR_CLUSTER_PORT` when the port is in use or not allowed
 */
export function assertPortFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is already in use' : `cannot be used: ${error.message}`
      reject(new StartError(`Port ${port} ${why}`, 'ERR_CLUSTER_PORT'))
    })
    // Not shared with workers: this is only a look.
    probe.listen({ port, exclusive: true }, () => probe.close(() => resolve()))
  })
}
