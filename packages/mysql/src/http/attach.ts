import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  boolean,
  type ClientGoneError,
  type Duration,
  defineOptions,
  duration,
  either,
  type Header,
  list,
  nested,
  noteRefusal,
  orFalse,
  type RejectedError,
  responseSignal,
  string,
} from '@spillway/kit'
import type { MysqlPool } from '../pool.js'
import type { MysqlSession } from '../session/session.js'
import { PRIMARY } from '../topology/session-position.js'
import { SignedToken } from './signed-token.js'

/** Lets the next request of a client, on any worker or machine, read what this one wrote. */
export interface CarryOptions {
  /** Signs the token; at least 16 characters. Of several, the first signs and all are accepted. */
  readonly secret: string | readonly string[]
  /** Name of the cookie that carries it; `false`: none. Default: `'spillway_mysql'`. */
  readonly cookie?: string | false
  /** Name of a header, of requests and responses, that carries it; for clients that keep no cookies. Default: false. */
  readonly header?: string | false
  /** How long the client keeps the cookie. Default: `'1h'`. */
  readonly maxAge?: Duration
  /** Send the cookie over HTTPS only. Default: true. */
  readonly secure?: boolean
}

export interface AttachOptions {
  /** Stop the statements of a request whose client has gone. Default: true. */
  readonly abort?: boolean
  /** How long the statements of one request may take in all, from its start. Default: `false`. */
  readonly deadline?: Duration | false
  /** A `Server-Timing` header with the number of statements and their time. It tells clients about you. Default: false. */
  readonly serverTiming?: boolean
  /** Read-your-writes over requests. Default: `false`. */
  readonly carry?: CarryOptions | false
}

export const ATTACH_DEFAULTS = Object.freeze({
  abort: true,
  deadline: false,
  serverTiming: false,
  carry: false,
})
export const CARRY_DEFAULTS = Object.freeze({
  cookie: 'spillway_mysql',
  header: false,
  maxAge: 3_600_000,
  secure: true,
})

const secret = string({ pattern: /^.{16,}$/s, like: 'at least 16 characters' })
const name = string({ pattern: /^[\w!#$%&'*+.^`|~-]+$/, like: 'a name without spaces' })

const resolve = defineOptions(
  'mysql',
  'mysqlPool',
  {
    abort: boolean,
    deadline: orFalse(duration({ min: 1 })),
    serverTiming: boolean,
    carry: orFalse(
      nested(
        {
          secret: either(secret, list(secret, { min: 1 })),
          cookie: orFalse(name),
          header: orFalse(name),
          maxAge: duration({ min: 1_000 }),
          secure: boolean,
        },
        CARRY_DEFAULTS,
      ),
    ),
  },
  ATTACH_DEFAULTS,
)

/** Characters of a token that a cookie has room for, sealed. */
const LONGEST_TOKEN = 2_048

type Carry = Exclude<ReturnType<typeof resolve>['carry'], false>

/** The session of a request, and the headers that its answer gets. */
export interface Attached {
  readonly session: MysqlSession
  /** What to add, when the headers are about to be sent. */
  readonly headers: () => readonly Header[]
}

/** What the three adapters share: a session per request. */
export class Attachment {
  readonly #pool: MysqlPool
  readonly #options: ReturnType<typeof resolve>
  readonly #signed: SignedToken | undefined

  /** @throws TypeError | RangeError `ERR_MYSQL_OPTION` */
  constructor(pool: MysqlPool, options: AttachOptions = {}) {
    this.#pool = pool
    this.#options = resolve(options)
    const { carry } = this.#options
    if (carry !== false) this.#signed = new SignedToken([carry.secret].flat())
  }

  /** Whether answers get headers at all. */
  get addsHeaders(): boolean {
    return this.#options.serverTiming || this.#options.carry !== false
  }

  /**
   * A session for a request. A refusal among its calls brings its headers to the response, if that is what is answered.
   * `onTrouble` hears of it before the handler does, and of the client's departure.
   */
  attach(
    req: IncomingMessage,
    res: ServerResponse,
    onTrouble?: (error: RejectedError | ClientGoneError) => void,
  ): Attached {
    const { abort, deadline, carry } = this.#options
    const token = carry === false ? undefined : this.#tokenOf(req, carry)
    const session = this.#pool.session({
      token,
      signal: abort ? responseSignal(res, onTrouble) : undefined,
      refused: (error) => {
        noteRefusal(res, error)
        onTrouble?.(error)
      },
      deadline: deadline === false ? undefined : deadline,
    })
    const before = session.token
    return { session, headers: () => this.#headers(session, before) }
  }

  #tokenOf({ headers }: IncomingMessage, carry: Carry): string | undefined {
    const sealed =
      (carry.header !== false && headers[carry.header.toLowerCase()]) ||
      (carry.cookie !== false && cookieOf(headers.cookie, carry.cookie))
    return typeof sealed === 'string' ? this.#signed?.open(sealed) : undefined
  }

  #headers(session: MysqlSession, before: string): Header[] {
    const { serverTiming, carry } = this.#options
    const headers: Header[] = []
    if (serverTiming) {
      const { queries, milliseconds } = session.usage
      headers.push(['Server-Timing', `db;desc="${queries} statements";dur=${milliseconds.toFixed(1)}`])
    }
    const { token } = session
    if (carry !== false && token !== before) {
      // A position too long for a cookie is one that nobody can carry: the next read goes to the primary.
      const sealed = this.#signed!.seal(token.length > LONGEST_TOKEN ? PRIMARY : token)
      if (carry.header !== false) headers.push([carry.header, sealed])
      if (carry.cookie !== false) {
        const age = Math.ceil(carry.maxAge / 1_000)
        const secure = carry.secure ? '; Secure' : ''
        headers.push([
          'Set-Cookie',
          `${carry.cookie}=${sealed}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure}`,
        ])
      }
    }
    return headers
  }
}

/** The pools that a server closes, behind the one listener that it has for them. */
const closedBy = new WeakMap<Server, Set<MysqlPool>>()

/** Closes the pool when the server has closed. */
export function closeWith(server: Server, pool: MysqlPool): void {
  const pools = closedBy.get(server) ?? new Set()
  pools.add(pool)
  if (closedBy.has(server)) return
  closedBy.set(server, pools)
  server.once('close', () => {
    closedBy.delete(server)
    for (const one of pools) void one.close()
  })
}

function cookieOf(header: string | undefined, cookie: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === cookie) return pair.slice(at + 1).trim()
  }
  return undefined
}
