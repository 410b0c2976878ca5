import type { Charset } from '../charset.js'

/** What kind of server answers, from its greeting. */
export type Flavour = 'mariadb' | 'mysql'

export function flavourOf(serverVersion: string): Flavour {
  return /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql'
}

export interface SessionSettings {
  readonly charset: Charset
  readonly timezone: string
  /** Milliseconds, or false. */
  readonly serverTimeout: number | false
}

/**
 * What each connection is told once: the character set, the time zone and the last-resort limit (`needed`), and to report positions and
 * changes of its state with each OK packet (`tracking`), which makes read-your-writes and clean hand-overs free of
 * round trips.
 */
export function sessionStatements(
  flavour: Flavour,
  { charset, timezone, serverTimeout }: SessionSettings,
): { readonly needed: readonly string[]; readonly tracking: readonly string[] } {
  const needed = [charset.names]
  if (timezone !== 'local') needed.push(`time_zone = '${timezone === 'Z' ? '+00:00' : timezone}'`)
  if (serverTimeout !== false) {
    needed.push(
      flavour === 'mariadb'
        ? `max_statement_time = ${serverTimeout / 1_000}`
        : `max_execution_time = ${Math.ceil(serverTimeout)}`,
    )
  }
  const tracking =
    flavour === 'mariadb'
      ? ["session_track_system_variables = CONCAT(@@session_track_system_variables, ',last_gtid')"]
      : ["session_track_gtids = 'OWN_GTID'"]
  tracking.push('session_track_state_change = 1')
  return { needed, tracking }
}

/** An OK packet, with what mysql2 reads of it and its types do not say. */
interface Ok {
  readonly serverStatus: number
  readonly affectedRows: number | string
  readonly stateChanges?: {
    readonly systemVariables: Readonly<Record<string, string>>
    readonly schema: string | null
    readonly gtids: readonly string[]
    readonly trackStateChange: string | null
  }
}

/** What a reply says about its session. */
export interface ReplyStatus {
  readonly inTransaction: boolean
  /** Something of the session changed that the next user must not inherit. */
  readonly changed: boolean
  /** The position of the commit, if there was one. */
  readonly position: string | undefined
  /** Rows were changed. */
  readonly wrote: boolean
  /** The session has `NO_BACKSLASH_ESCAPES`, says the server. After a stored program it may say what held in there. */
  readonly backslashIsPlain: boolean
  /** `character_set_client`, when that was set. */
  readonly charset: string | undefined
}

/** Reads the OK packets of a reply; `undefined` when there is none, as for a result set. */
export function statusOf(result: unknown): ReplyStatus | undefined {
  if (isOk(result)) return read(result)
  if (!Array.isArray(result)) return undefined
  // CALL and several statements answer with a list of results.
  let status: ReplyStatus | undefined
  for (const part of result) {
    if (!isOk(part)) continue
    const { inTransaction, changed, position, wrote, backslashIsPlain, charset } = read(part)
    status = {
      inTransaction,
      changed: changed || status?.changed === true,
      position: position ?? status?.position,
      wrote: wrote || status?.wrote === true,
      backslashIsPlain,
      charset: charset ?? status?.charset,
    }
  }
  return status
}

function isOk(result: unknown): result is Ok {
  return typeof result === 'object' && result !== null && result.constructor?.name === 'ResultSetHeader'
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html, SERVER_STATUS_*
const IN_TRANSACTION = 1
const NO_BACKSLASH_ESCAPES = 0x200

function read({ serverStatus, affectedRows, stateChanges }: Ok): ReplyStatus {
  let changed = false
  let position: string | undefined
  let charset: string | undefined
  if (stateChanges !== undefined) {
    const { systemVariables, schema, gtids, trackStateChange } = stateChanges
    // MySQL says '1', and MariaDB says it in a form of which the driver reads something else. Both only when it is so.
    changed = trackStateChange !== null || schema !== null
    for (const name in systemVariables) {
      if (name === 'last_gtid') position = systemVariables[name]
      else changed = true
      if (name === 'character_set_client') charset = systemVariables[name]
    }
    if (gtids.length > 0) position = gtids.join(',')
  }
  return {
    inTransaction: (serverStatus & IN_TRANSACTION) !== 0,
    changed,
    position,
    wrote: Number(affectedRows) > 0,
    backslashIsPlain: (serverStatus & NO_BACKSLASH_ESCAPES) !== 0,
    charset,
  }
}
