import { unlinkSync } from 'node:fs'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'

/** Where to listen. */
export interface ListenAddress extends Pick<ListenOptions, 'port' | 'host' | 'path' | 'backlog'> {
  /** The port that an earlier process of this app got for port 0: tried first. */
  readonly former?: number | undefined
}

const DEFAULT_PORT = 3_000

/** Where `serve()` is to listen, by its options, the environment and the ports of earlier workers. */
export function listenAddressOf(
  { port, host, path, backlog }: ListenAddress,
  former: number | undefined,
): ListenAddress {
  const rest = { ...(host === undefined ? {} : { host }), ...(backlog === undefined ? {} : { backlog }) }
  if (path !== undefined) return { path, ...(backlog === undefined ? {} : { backlog }) }
  const wanted = port ?? portOf(process.env.PORT) ?? DEFAULT_PORT
  return { port: wanted, ...rest, ...(wanted === 0 ? { former } : {}) }
}

/** Resolves with the port, or `undefined` on a unix socket. */
export async function listen(server: Server, at: ListenAddress): Promise<number | undefined> {
  if (at.path !== undefined) await removeStale(at.path)
  if (!server.listening) await bind(server, at)
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}

async function bind(server: Server, { former, ...at }: ListenAddress): Promise<void> {
  // The port is in use, most likely by another worker: node:cluster shares its port when a worker asks for port 0.
  const again = former !== undefined && (await isFree({ ...at, port: former }))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(again ? { ...at, port: former } : at, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Probes with a server of its own: the app would see an `error` event of the app's server. */
function isFree(at: ListenOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.on('error', () => resolve(false))
    probe.listen({ ...at, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/** Removes a unix socket without a process behind it. One that answers stays: `listen` rejects it with EADDRINUSE. */
function removeStale(path: string): Promise<void> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve()
    })
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') {
        try {
          unlinkSync(path)
        } catch {
          // Another process has removed it first, or the permission is missing: the error of `listen` says which.
        }
      }
      resolve()
    })
  })
}

function portOf(text: string | undefined): number | undefined {
  const port = Number(text)
  return text !== undefined && text !== '' && Number.isInteger(port) && port >= 0 && port < 65_536
    ? port
    : undefined
}
