import { misuse } from '@spillway/kit'
import { checkOptions, type MysqlPoolOptions, type PoolOptions, type ServerOptions } from '../options.js'
import { readUri, type UriOptions } from '../uri.js'

/** A server's address with everything in it that was given in a URL. */
export interface Server {
  readonly host: string
  readonly port: number
  readonly socketPath?: string
  readonly user?: string
  readonly password?: string
  readonly database?: string
  readonly ssl?: string | object
  /** `host:port`, for messages: it has no secret in it. */
  readonly name: string
}

export interface ResolvedOptions {
  readonly options: PoolOptions
  readonly primary: Server
  readonly replicas: readonly Server[]
}

/** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
export function resolveOptions(given: MysqlPoolOptions | string): ResolvedOptions {
  const own = typeof given === 'string' ? { uri: given } : given
  const options = checkOptions(isPlain(own) ? { ...poolOptionsOf(own), ...withoutLifted(own) } : own)
  const forDriver = own.driver?.ssl
  const fields = serverOf({ ...options, ssl: options.ssl ?? (forDriver || undefined) } as ServerOptions)
  const main = fields((options.primary ?? {}) as string | ServerOptions)
  if (forDriver === false && main.ssl !== undefined) throw contradiction('ssl')
  // What is not said of a replica is as on the primary, except where it is.
  const { host: _host, port: _port, socketPath: _path, name: _name, ...shared } = main
  const replica = serverOf(shared)
  return {
    options,
    primary: main,
    replicas: (options.replicas ?? []).map((one) => {
      refusePoolOptions(typeof one === 'string' ? one : (one as ServerOptions).uri)
      return replica(one as string | ServerOptions)
    }),
  }
}

function isPlain(value: unknown): value is MysqlPoolOptions {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the primary's URI says of the pool, and what the driver would be told in the place of the pool. */
function poolOptionsOf({ uri: own, primary, driver: forDriver }: MysqlPoolOptions): object {
  const ofPrimary = typeof primary === 'object' && primary !== null ? primary.uri : primary
  const { charset: set, timezone } = isPlain(forDriver) ? (forDriver as Record<string, unknown>) : {}
  return { ...read(own)?.pool, ...read(ofPrimary)?.pool, ...defined({ charset: set, timezone }) }
}

/** The driver's options without those that are the pool's, and ours without those that are left out. */
function withoutLifted(own: MysqlPoolOptions): object {
  if (!isPlain(own.driver)) return defined(own)
  const { ssl, charset: set, timezone, ...rest } = own.driver as Record<string, unknown>
  for (const [name, value] of Object.entries({ ssl, charset: set, timezone })) {
    const ours = (own as Record<string, unknown>)[name]
    if (value === undefined || ours === undefined || ours === value) continue
    throw contradiction(name)
  }
  return { ...defined(own), driver: rest }
}

function contradiction(name: string): Error {
  return misuse(
    TypeError,
    'ERR_MYSQL_OPTION',
    `MysqlPool options "${name}" and "driver" contradict each other`,
  )
}

function refusePoolOptions(uri: unknown): void {
  const [name] = Object.keys(read(uri)?.pool ?? {})
  if (name === undefined) return
  throw misuse(
    TypeError,
    'ERR_MYSQL_OPTION',
    `The URI of a replica may not have the parameter "${name}": it is one of the pool`,
  )
}

function read(uri: unknown): UriOptions | undefined {
  return typeof uri === 'string' ? readUri(uri) : undefined
}

function fromUri(uri: unknown): Partial<ServerOptions> {
  return defined(read(uri)?.server ?? {}) as Partial<ServerOptions>
}

function serverOf(base: ServerOptions): (given: string | ServerOptions) => Server {
  return (given) => {
    const own = typeof given === 'string' ? { uri: given } : given
    const fields = {
      ...fromUri(base.uri),
      ...defined(base),
      ...fromUri(own.uri),
      ...defined(own),
    }
    const { host = '127.0.0.1', port = 3306, socketPath, user, password, database, ssl } = fields
    return Object.freeze({
      host,
      port,
      ...defined({ socketPath, user, password, database, ssl }),
      name: socketPath ?? `${host}:${port}`,
    })
  }
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}
