import type { ConnectionOptions } from 'mysql2'
import type { PoolOptions } from '../options.js'
import { bigints } from './row-reading.js'
import type { Server } from './servers.js'

/** What mysql2 is told about a connection to a server. */
export function driverOptions(server: Server, options: PoolOptions): ConnectionOptions {
  const { bigint, charset, dates, driver, timezone, unsafeMultipleStatements } = options
  const { host, port, socketPath, user, password, database, ssl } = server
  return {
    // mysql2 would capture a stack per call, at a fifth to a third of its speed.
    trace: false,
    supportBigNumbers: true,
    bigNumberStrings: bigint !== 'auto',
    dateStrings: dates === 'string' ? true : ['DATE' as const],
    multipleStatements: unsafeMultipleStatements,
    maxPreparedStatements: 16_000,
    ...(bigint === 'bigint' ? { typeCast: bigints(dates === 'exact') as never } : {}),
    // A socket path also tells mysql2 that a password may be sent over it as it is (caching_sha2_password).
    ...(socketPath === undefined ? { host, port } : { socketPath }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
    // mysql2 writes into it.
    ...(ssl === undefined ? {} : { ssl: typeof ssl === 'string' ? ssl : { ...ssl } }),
    ...driver,
    charset: charset.driver,
    timezone,
    // A deadline of ours covers the whole opening, and closes the socket.
    connectTimeout: 0,
  }
}
