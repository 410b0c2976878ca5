import { type MariadbOptions, MariadbServer } from './mariadb.js'

export interface ReplicaPairOptions {
  /**
   * `session_track_system_variables`: what the server tells a client after each statement. Default: the server's own
   * list and `last_gtid`.
   */
  readonly track?: string
  /** More arguments for both servers. Default: none. */
  readonly args?: readonly string[]
  /** More arguments for the primary only. Default: none. */
  readonly primaryArgs?: readonly string[]
  /** More arguments for the replica only. Default: none. */
  readonly replicaArgs?: readonly string[]
  /** See {@link MariadbOptions}. Default: 2. */
  readonly flushLog?: MariadbOptions['flushLog']
}

const TRACK =
  'autocommit,character_set_client,character_set_connection,character_set_results,time_zone,last_gtid'

/** A MariaDB that follows a primary by GTID. It is `read_only`, which does not bind `root`. */
export class MariadbReplica extends MariadbServer {
  readonly #primary: MariadbServer

  constructor(primary: MariadbServer, options: MariadbOptions) {
    super(options, 'mariadb-replica')
    this.#primary = primary
  }

  /** Points a server without data at the primary, and starts to replicate from the primary's first event. */
  async follow(): Promise<void> {
    await this.query(
      `CHANGE MASTER TO master_host='${this.#primary.host}', master_port=${this.#primary.port}, master_user='root',
        master_use_gtid=slave_pos, master_connect_retry=1`,
      'START SLAVE',
    )
  }

  /** From now on it stays `seconds` (whole ones) behind the primary; 0 ends that. */
  async lag(seconds: number): Promise<void> {
    await this.query('STOP SLAVE', `CHANGE MASTER TO master_delay=${seconds}`, 'START SLAVE')
  }

  /** It stays where it is, and answers reads with what it has. */
  async stopReplication(): Promise<void> {
    await this.query('STOP SLAVE')
  }

  async startReplication(): Promise<void> {
    await this.query('START SLAVE')
  }

  /** Starts again without data, and replicates everything from the primary's binary log. */
  async rebuild(): Promise<void> {
    await this.restartEmpty()
    await this.follow()
  }

  /** The row of `SHOW SLAVE STATUS`. */
  async status(): Promise<Readonly<Record<string, unknown>>> {
    const [rows] = await this.query('SHOW SLAVE STATUS')
    return rows?.[0] ?? {}
  }
}

/** A primary and a replica of it. */
export class ReplicaPair implements AsyncDisposable {
  constructor(
    readonly primary: MariadbServer,
    readonly replica: MariadbReplica,
  ) {}

  /** The position of the primary's binary log, such as `0-1-42`. */
  async gtid(): Promise<string> {
    const [rows] = await this.primary.query('SELECT @@gtid_binlog_pos AS position')
    return String(rows?.[0]?.position ?? '')
  }

  /**
   * Waits until the replica has all that the primary has committed by now.
   *
   * @param timeout milliseconds; default 10000
   * @throws Error when it has not within `timeout`
   */
  async waitForReplica(timeout = 10_000): Promise<void> {
    const position = await this.gtid()
    const [rows] = await this.replica.query(
      `SELECT MASTER_GTID_WAIT('${position}', ${timeout / 1000}) AS state`,
    )
    if (rows?.[0]?.state === 0) return
    const { Last_IO_Error: io, Last_SQL_Error: sql, Gtid_Slave_Pos: reached } = await this.replica.status()
    throw new Error(
      `The replica is at ${reached}, not at ${position}, after ${timeout} ms. ${io} ${sql}`.trim(),
    )
  }

  async stop(): Promise<void> {
    await Promise.all([this.replica.stop(), this.primary.stop()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.replica[Symbol.asyncDispose](), this.primary[Symbol.asyncDispose]()])
  }
}

/** Starts a private MariaDB primary and its replica, which has caught up. */
export async function startReplicaPair(options: ReplicaPairOptions = {}): Promise<ReplicaPair> {
  const { track = TRACK, args = [], primaryArgs = [], replicaArgs = [], flushLog = 2 } = options
  const common = [
    '--log-bin=binlog',
    '--log-slave-updates',
    '--gtid-strict-mode=1',
    `--session-track-system-variables=${track}`,
    '--slave-net-timeout=10',
    ...args,
  ]
  const primary = new MariadbServer(
    { flushLog, args: ['--server-id=1', ...common, ...primaryArgs] },
    'mariadb-primary',
  )
  const replica = new MariadbReplica(primary, {
    flushLog,
    args: [
      '--server-id=2',
      '--read-only=1',
      '--relay-log=relay',
      '--skip-slave-start=0',
      ...common,
      ...replicaArgs,
    ],
  })
  await Promise.all([primary.start(), replica.start()])
  await replica.follow()
  const pair = new ReplicaPair(primary, replica)
  await pair.waitForReplica()
  return pair
}
