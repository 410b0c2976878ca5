import {
  anything,
  boolean,
  type Check,
  type Clock,
  type Duration,
  defineOptions,
  duration,
  either,
  having,
  integer,
  list,
  misuse,
  monotonicClock,
  nested,
  oneOf,
  optional,
  orFalse,
  type Resolved,
  refuse,
  string,
} from '@spillway/kit'
import { type Charset, charsetOf } from './charset.js'
import { readUri } from './uri.js'

/** One server: how to reach it. */
export interface ServerOptions {
  /**
   * `mysql://user:password@host:3306/database`. What is given beside it wins. It may have `?ssl=`, `ssl-mode=` and
   * `socketPath=`, and for the pool `connectionLimit=`, `queueLimit=`, `waitForConnections=`, `connectTimeout=`,
   * `idleTimeout=`, `charset=` and `timezone=`; anything else is refused.
   */
  readonly uri?: string
  /** Default: `'127.0.0.1'`. Resolved anew for each connection. */
  readonly host?: string
  /** Default: 3306. */
  readonly port?: number
  /** A Unix socket instead of host and port. */
  readonly socketPath?: string
  readonly user?: string
  readonly password?: string
  readonly database?: string
  /** TLS, in mysql2's form. Default: none. */
  readonly ssl?: string | object
}

export interface ReadOptions {
  /**
   * `'session'`: a read sees what its session has written (the pool itself is one session, and so is each request).
   * `'eventual'`: any replica that is not too far behind. Default: `'session'`.
   */
  readonly consistency?: 'session' | 'eventual'
  /** How long a read may wait for a replica to get the session's writes before it goes to the primary. Default: `'50ms'`. */
  readonly wait?: Duration
  /** A replica that is further behind serves no reads. Default: `'10s'`. */
  readonly maxLag?: Duration
  /** How often each server is asked for its health, role and position. Default: `'500ms'`. */
  readonly probe?: Duration
  /**
   * How long a server may take to answer such a question; then it is down, and its reads go elsewhere. So a server that
   * freezes is noticed after `probe` and `patience` at the latest. Default: twice `probe`, at least `'500ms'`.
   */
  readonly patience?: Duration
}

/** What a {@link MysqlPool} is made from. The names of mysql2's recipe mean what they say there, and are honoured. */
export interface MysqlPoolOptions extends ServerOptions {
  /** The server for writes, instead of the fields above. */
  readonly primary?: string | ServerOptions
  /** Servers for reads. They take user, password, database and TLS from the primary. Default: none. */
  readonly replicas?: readonly (string | ServerOptions)[]

  /** Connections to each server, over all workers of this machine (`SPILLWAY_WORKERS`). Default: 10. */
  readonly connectionLimit?: number
  /** Divide `connectionLimit` by `SPILLWAY_WORKERS`. Default: true. */
  readonly shareConnections?: boolean
  /** How many calls may wait for a connection; further ones are refused with 503. 0 or `false`: any number. Default: 1000. */
  readonly queueLimit?: number | false
  /** `false` refuses at once when no connection is free. Default: true. */
  readonly waitForConnections?: boolean
  /** How long a call waits for a connection. Default: `'5s'`. */
  readonly acquireTimeout?: Duration
  /** How long a call may take in all: waiting, connecting, running, fetching. `false`: no limit. Default: `'30s'`. */
  readonly timeout?: Duration | false
  /** How long a statement that is over time has to end after KILL QUERY before its connection is cut. Default: `'250ms'`. */
  readonly killGrace?: Duration
  /** How long opening a connection may take. Default: `'5s'`. */
  readonly connectTimeout?: Duration
  /** Refuse a call at once when the queue would take longer than it can wait. Default: true. */
  readonly refuseEarly?: boolean

  /** Statements in server-side prepared form for `execute`; `false` when the endpoint has only the text protocol. Default: true. */
  readonly prepared?: boolean
  /** Prepared statements of this process on each server, at most. Default: a quarter of the server's limit, up to 4000. */
  readonly preparedStatements?: number
  /**
   * Statements sent once per connection, which turn on tracking of positions and session state and UTC. `false`: none,
   * for endpoints that refuse them. Default: true.
   */
  readonly session?: boolean
  /** A reserved connection for KILL QUERY. `false`: a statement over time has its connection cut. Default: true. */
  readonly control?: boolean
  /** The server's own limit on a statement (`max_statement_time`, `max_execution_time`), as a last resort. Default: `false`. */
  readonly serverTimeout?: Duration | false

  /** Connections kept open while idle. Default: 0. */
  readonly minIdle?: number
  /** Idle connections beyond `minIdle` are closed after this. `false`: never. Default: `'1m'`. */
  readonly idleTimeout?: Duration | false
  /** Age at which a connection is replaced, less up to 10 %; kept below the server's `wait_timeout`. Default: `'30m'`. */
  readonly maxLifetime?: Duration | false
  /** A connection that was idle for longer is asked before it is used. Default: `'5s'`. */
  readonly validateAfterIdle?: Duration | false
  /** A connection held for longer is reported by the event `leak`, once. Default: `'30s'`. */
  readonly leakAfter?: Duration | false

  /** What `pool.query` does inside `pool.transaction`: refuse, run in the transaction, or run outside. Default: `'refuse'`. */
  readonly insideTransaction?: 'refuse' | 'join' | 'allow'
  /** How often a transaction is run again after a deadlock, a lock timeout, or a connection lost before COMMIT. Default: 3. */
  readonly retries?: number
  /** Where plain SELECTs go, when there are replicas. `false`: everything to the primary. */
  readonly reads?: ReadOptions | false

  /** BIGINT and insert ids: numbers while they are exact, else strings (`'auto'`); always strings; or always bigints. Default: `'auto'`. */
  readonly bigint?: 'auto' | 'string' | 'bigint'
  /**
   * DATETIME and TIMESTAMP: a Date where it has all of the column's digits, and text where the column has more than three
   * (`'exact'`); always a Date, which loses digits (`'date'`); always text (`'string'`). Default: `'exact'`.
   */
  readonly dates?: 'exact' | 'date' | 'string'
  /** Character set or collation of the connections, by MySQL's name. Default: `'utf8mb4_unicode_ci'`. */
  readonly charset?: string
  /** `'Z'`, `'local'` or `'+hh:mm'`: of dates in parameters and DATETIME columns. DATE is always text. Default: `'Z'`. */
  readonly timezone?: string
  /** Several statements in one text. What this allows an injection to do is the reason for its name. Default: false. */
  readonly unsafeMultipleStatements?: boolean

  /** A statement that takes longer is reported by the event `slow`. `false`: none. Default: `'1s'`. */
  readonly slowQuery?: Duration | false
  /** Ask the server how it runs a slow SELECT, at most once a minute for each form of statement. Default: false. */
  readonly explain?: boolean
  /** Forms of statements to keep statistics of; the rest is summed up. Default: 200. */
  readonly statementStats?: number

  /** Of the pool, in events and messages. Default: `'mysql'`. */
  readonly name?: string
  /**
   * Further options of mysql2's `createConnection`. They win over ours, and none of them changes how the pool reads the
   * answers to its own statements. Default: none.
   */
  readonly driver?: Readonly<Record<string, unknown>>
  /** Default: the monotonic clock. */
  readonly clock?: Clock
}

/** Unlike other checks it shows nothing of the value, which may have a password in it. */
const uri: Check<string> = (value) => {
  readUri(value as string)
  return value as string
}

const SERVER_CHECKS = {
  uri: optional(uri),
  host: optional(string()),
  port: optional(integer({ min: 1, max: 65_535 })),
  socketPath: optional(string()),
  user: optional(string()),
  password: optional(anything),
  database: optional(string()),
  ssl: optional(either(string(), having<object>('an object'))),
} as const

export const DEFAULTS = Object.freeze({
  connectionLimit: 10,
  shareConnections: true,
  queueLimit: 1_000,
  waitForConnections: true,
  acquireTimeout: 5_000,
  timeout: 30_000,
  killGrace: 250,
  connectTimeout: 5_000,
  refuseEarly: true,
  prepared: true,
  session: true,
  control: true,
  serverTimeout: false,
  minIdle: 0,
  idleTimeout: 60_000,
  maxLifetime: 1_800_000,
  validateAfterIdle: 5_000,
  leakAfter: 30_000,
  insideTransaction: 'refuse',
  retries: 3,
  reads: Object.freeze({}),
  bigint: 'auto',
  dates: 'exact',
  charset: 'utf8mb4_unicode_ci',
  timezone: 'Z',
  unsafeMultipleStatements: false,
  slowQuery: 1_000,
  explain: false,
  statementStats: 200,
  name: 'mysql',
  driver: Object.freeze({}),
  clock: monotonicClock,
})

export const READ_DEFAULTS = Object.freeze({
  consistency: 'session',
  wait: 50,
  maxLag: 10_000,
  probe: 500,
})

const serverFields = nested(SERVER_CHECKS)
const server: Check<string | ServerOptions> = (value, place) =>
  typeof value === 'string' ? uri(value, place) : (serverFields(value, place) as ServerOptions)

const charset: Check<Charset> = (value, place) => {
  const name = string()(value, place)
  return (
    charsetOf(name) ??
    refuse(
      RangeError,
      place,
      'a character set or collation in which a byte of ASCII is always that character',
      name,
    )
  )
}

/** What mysql2 would do in the place of this package. */
const NOT_FOR_THE_DRIVER = [
  'uri',
  'stream',
  'pool',
  'isServer',
  'queryFormat',
  'connectTimeout',
  'charsetNumber',
]

const driver: Check<Readonly<Record<string, unknown>>> = (value, place) => {
  const given = having<Readonly<Record<string, unknown>>>('an object')(value, place)
  for (const name of NOT_FOR_THE_DRIVER) {
    if (name in given)
      throw misuse(
        TypeError,
        place.code,
        `MysqlPool option "driver" may not have "${name}": the pool sees to it`,
      )
  }
  return given
}

const CHECKS = {
  ...SERVER_CHECKS,
  primary: optional(server),
  replicas: optional(list(server)),
  connectionLimit: integer({ min: 1 }),
  shareConnections: boolean,
  queueLimit: orFalse(integer({ min: 0 })),
  waitForConnections: boolean,
  acquireTimeout: duration({ min: 1 }),
  timeout: orFalse(duration({ min: 1 })),
  killGrace: duration(),
  connectTimeout: duration({ min: 1 }),
  refuseEarly: boolean,
  prepared: boolean,
  preparedStatements: optional(integer({ min: 1 })),
  session: boolean,
  control: boolean,
  serverTimeout: orFalse(duration({ min: 1 })),
  minIdle: integer({ min: 0 }),
  idleTimeout: orFalse(duration({ min: 1 })),
  maxLifetime: orFalse(duration({ min: 1_000 })),
  validateAfterIdle: orFalse(duration()),
  leakAfter: orFalse(duration({ min: 1 })),
  insideTransaction: oneOf('refuse', 'join', 'allow'),
  retries: integer({ min: 0 }),
  reads: orFalse(
    nested(
      {
        consistency: oneOf('session', 'eventual'),
        wait: duration(),
        maxLag: duration(),
        probe: duration({ min: 10 }),
        patience: optional(duration({ min: 10 })),
      },
      READ_DEFAULTS,
    ),
  ),
  bigint: oneOf('auto', 'string', 'bigint'),
  dates: oneOf('exact', 'date', 'string'),
  charset,
  timezone: string({ pattern: /^(Z|local|[+-]\d\d:\d\d)$/, like: "'Z', 'local' or '+hh:mm'" }),
  unsafeMultipleStatements: boolean,
  slowQuery: orFalse(duration()),
  explain: boolean,
  statementStats: integer({ min: 1 }),
  name: string(),
  driver,
  clock: having<Clock>('a clock', 'now'),
} as const

export type PoolOptions = Resolved<typeof CHECKS>

/** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
export const checkOptions = defineOptions('mysql', 'MysqlPool', CHECKS, DEFAULTS)
