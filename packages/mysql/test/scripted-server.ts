import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type Connection, createServer } from 'mysql2'

/** What a scripted server says to a statement. */
export type Answer =
  | { readonly rows: readonly Readonly<Record<string, string>>[] }
  /** An OK packet; with `gtid` it tells the position of the commit, as `session_track_gtids = OWN_GTID` makes MySQL do. */
  | { readonly affectedRows: number; readonly gtid?: string }
  | { readonly code: number; readonly message: string }

export interface Script {
  /** As in the server's greeting. */
  readonly version: string
  answer(sql: string): Answer
}

const SESSION_TRACK = 1 << 23
const PROTOCOL_41_AND_USUAL = 0x0008_a20f

/** A server that speaks the text protocol by mysql2's own server side, and answers as it is told. */
export class ScriptedServer implements AsyncDisposable {
  readonly seen: string[] = []
  readonly #script: Script
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #connections = 0

  private constructor(script: Script) {
    this.#script = script
    const mysql = createServer((connection) => this.#serve(connection)) as object as {
      listen(port: number, host: string): void
      _server: Server
    }
    mysql.listen(0, '127.0.0.1')
    this.#server = mysql._server
  }

  static async start(script: Script): Promise<ScriptedServer> {
    const own = new ScriptedServer(script)
    await once(own.#server, 'listening')
    return own
  }

  get url(): string {
    return `mysql://root@127.0.0.1:${(this.#server.address() as AddressInfo).port}/x`
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections
  }

  /** Ends every connection as MySQL does from 8.0.24 on: after an error packet that nobody has asked for. */
  dismiss(code: number, message: string): void {
    for (const socket of this.#sockets) socket.end(packet(0, error(code, message)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(connection: Connection): void {
    const { stream } = connection as object as { stream: Socket }
    this.#connections++
    this.#sockets.add(stream)
    stream.setNoDelay(true).once('close', () => this.#sockets.delete(stream))
    connection.on('error', () => stream.destroy())
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: this.#script.version,
      connectionId: this.#connections,
      statusFlags: 2,
      characterSet: 45,
      capabilityFlags: PROTOCOL_41_AND_USUAL | SESSION_TRACK,
      authCallback: (_who: unknown, done: (error: null) => void) => {
        done(null)
        Object.assign(connection, { sequenceId: 0 })
      },
    })
    // mysql2 takes SET and PREPARE for the preparation of a statement.
    for (const event of ['query', 'stmt_prepare']) {
      connection.on(event, (sql: string) => {
        this.seen.push(sql)
        this.#reply(connection, stream, this.#script.answer(sql))
      })
    }
  }

  #reply(connection: Connection, stream: Socket, answer: Answer): void {
    Object.assign(connection, { sequenceId: 1 })
    if ('code' in answer) connection.writeError(answer)
    else if ('rows' in answer) {
      const columns = Object.keys(answer.rows[0] ?? { none: '' }).map(column)
      connection.writeTextResult([...answer.rows], columns)
    } else stream.write(packet(1, ok(answer.affectedRows, answer.gtid)))
    Object.assign(connection, { sequenceId: 0 })
  }
}

function column(name: string) {
  return {
    catalog: 'def',
    schema: '',
    table: '',
    orgTable: '',
    name,
    orgName: name,
    characterSet: 45,
    columnLength: 255,
    columnType: 253,
    flags: 0,
    decimals: 0,
  }
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html */
function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(payload.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, payload])
}

const AUTOCOMMIT = 0x0002
const STATE_CHANGED = 0x4000
const GTIDS = 3

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html */
function ok(affectedRows: number, gtid?: string): Buffer {
  const status = AUTOCOMMIT | (gtid === undefined ? 0 : STATE_CHANGED)
  const fixed = Buffer.from([0, affectedRows, 0, status & 0xff, status >> 8, 0, 0])
  if (gtid === undefined) return Buffer.concat([fixed, lengthCoded(Buffer.alloc(0))])
  // The encoding specification is 0: text.
  const own = Buffer.concat([Buffer.from([0]), lengthCoded(Buffer.from(gtid))])
  const change = Buffer.concat([Buffer.from([GTIDS]), lengthCoded(own)])
  return Buffer.concat([fixed, lengthCoded(Buffer.alloc(0)), lengthCoded(change)])
}

function error(code: number, message: string): Buffer {
  return Buffer.concat([Buffer.from([0xff, code & 0xff, code >> 8]), Buffer.from(`#HY000${message}`)])
}

/** For what is shorter than 251 bytes. */
function lengthCoded(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}
