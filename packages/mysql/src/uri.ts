import { misuse } from '@spillway/kit'

/** Address and credentials in a connection URI; what it does not say is `undefined`. */
export interface UriServer {
  readonly host: string | undefined
  readonly port: number | undefined
  readonly socketPath: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly ssl: string | object | undefined
}

/** What a connection URI says: of its server, and of the pool. */
export interface UriOptions {
  readonly server: UriServer
  readonly pool: Readonly<Record<string, unknown>>
}

/** A URI that is longer is none. In characters. */
const LONGEST = 8_192
/** What may be shown of a URI: the names of its parameters, as long as they look like names. */
const NAME = /^[\w.-]{1,40}$/

const numbers = new Set(['connectionLimit', 'queueLimit', 'connectTimeout', 'idleTimeout'])
const flags = new Set(['waitForConnections'])
const texts = new Set(['charset', 'timezone'])

/** Spellings of MySQL's own `ssl-mode`, and of those who had it before. */
const SSL_MODE = new Set(['ssl-mode', 'ssl_mode', 'sslmode'])

/** What is left out, and what to say instead. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['multipleStatements', 'say unsafeMultipleStatements beside the URI'],
  ['usessl', 'say ssl-mode=REQUIRED, or VERIFY_IDENTITY'],
  ['requiressl', 'say ssl-mode=REQUIRED, or VERIFY_IDENTITY'],
  ['verifyservercertificate', 'say ssl-mode=VERIFY_IDENTITY'],
  ['tls', 'say ssl-mode=REQUIRED, or VERIFY_IDENTITY'],
  ['sslaccept', 'say ssl-mode=REQUIRED, or VERIFY_IDENTITY'],
  ['ssl-ca', 'say ssl: { ca } beside the URI'],
  ['ssl-cert', 'say ssl: { cert, key } beside the URI'],
  ['ssl-key', 'say ssl: { cert, key } beside the URI'],
  ['user', 'it stands before the @'],
  ['password', 'it stands before the @'],
])

/**
 * Reads `mysql://user:password@host:port/database?option=value`. Of the options those are honoured that mysql2 honours
 * and this package has; any other one is refused by its name. No message shows a value, or a part of the URI that may be a
 * misplaced piece of a password.
 *
 * @throws TypeError | RangeError `ERR_MYSQL_OPTION`
 */
export function readUri(uri: string): UriOptions {
  const url = parsed(uri)
  const pool: Record<string, unknown> = {}
  const tls: Tls = { ssl: undefined, mode: undefined }
  let socketPath: string | undefined
  const seen = new Set<string>()
  for (const [name, value] of url.searchParams) {
    const lower = name.toLowerCase()
    const spelling = SSL_MODE.has(lower) ? 'ssl-mode' : lower
    // Of two values the second would win, which may be the less secure one.
    if (seen.has(spelling)) wrong(`has a parameter twice${NAME.test(name) ? `: "${name}"` : ''}`)
    seen.add(spelling)
    if (name === 'ssl') tls.ssl = sslOf(value)
    else if (SSL_MODE.has(lower)) tls.mode = modeOf(name, value)
    else if (name === 'socketPath') socketPath = value
    else if (numbers.has(name)) pool[name] = numberOf(name, value)
    else if (flags.has(name)) pool[name] = flagOf(name, value)
    // A plus sign that is not encoded means a blank there.
    else if (texts.has(name)) pool[name] = name === 'timezone' ? value.replace(' ', '+') : value
    else refuseName(name)
  }
  const server = {
    host: decoded(url.hostname).replace(/^\[(.{0,200})\]$/, '$1') || undefined,
    port: url.port === '' ? undefined : Number(url.port),
    socketPath,
    user: decoded(url.username) || undefined,
    password: decoded(url.password) || undefined,
    database: decoded(url.pathname.slice(1)) || undefined,
    ssl: joined(tls),
  }
  return { server, pool }
}

function parsed(uri: string): URL {
  if (typeof uri !== 'string' || !/^(mysql|mariadb):\/\//.test(uri))
    wrong('must be a URL that begins with mysql://')
  if (uri.length > LONGEST) wrong(`must have at most ${LONGEST} characters`)
  // What WHATWG's parser would drop without a word.
  if (/[\t\n\r]/.test(uri)) wrong('has a line break or a tabulator in it')
  let url: URL
  try {
    url = new URL(uri)
  } catch {
    return wrong('is not a URL: are all special characters of its password percent-encoded?')
  }
  const { hash, pathname, search } = url
  if (
    hash !== '' ||
    uri.endsWith('#') ||
    pathname.includes('@') ||
    search.includes('@') ||
    pathname.lastIndexOf('/') > 0
  ) {
    wrong(
      'has an @, a # or a / where none belongs: special characters of user, password and database must be percent-encoded',
    )
  }
  return url
}

interface Tls {
  /** `undefined`: nothing is said. */
  ssl: string | object | false | undefined
  mode: keyof typeof MODES | undefined
}

const MODES = {
  DISABLED: false,
  REQUIRED: { rejectUnauthorized: false },
  VERIFY_CA: { rejectUnauthorized: true },
  VERIFY_IDENTITY: { rejectUnauthorized: true, verifyIdentity: true },
} as const
const MODE_NAMES: ReadonlyMap<string, keyof typeof MODES> = new Map([
  ['disabled', 'DISABLED'],
  ['disable', 'DISABLED'],
  ['required', 'REQUIRED'],
  ['require', 'REQUIRED'],
  ['verify_ca', 'VERIFY_CA'],
  ['verify-ca', 'VERIFY_CA'],
  ['verify_identity', 'VERIFY_IDENTITY'],
  ['verify-identity', 'VERIFY_IDENTITY'],
  ['verify-full', 'VERIFY_IDENTITY'],
])

function modeOf(name: string, value: string): keyof typeof MODES {
  return (
    MODE_NAMES.get(value.toLowerCase()) ??
    wrong(
      `has a parameter "${name}" that must be DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY: an encryption that is only preferred is none when an attacker wants none`,
      RangeError,
    )
  )
}

/** As mysql2 reads it: JSON, or the name of a profile. `true` is TLS with the certificate verified. */
function sslOf(value: string): Tls['ssl'] {
  let read: unknown
  try {
    read = JSON.parse(value)
  } catch {
    read = value
  }
  if (read === true || read === 1) return {}
  if (read === false || read === 0) return false
  if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read
  if (typeof read === 'string' && read === 'Amazon RDS') return read
  return wrong('has a parameter "ssl" that must be true, false, a JSON object or a profile of mysql2')
}

/** The stricter of both, where both are given. */
function joined({ ssl, mode }: Tls): string | object | undefined {
  if (mode === undefined) return ssl === false ? undefined : ssl
  const byMode = MODES[mode]
  if (byMode === false) {
    if (ssl !== undefined && ssl !== false) wrong('asks for TLS by "ssl", and for none by "ssl-mode"')
    return undefined
  }
  if (ssl === false) wrong('asks for TLS by "ssl-mode", and for none by "ssl"')
  if (typeof ssl === 'string') return ssl
  if (mode === 'REQUIRED') return ssl ?? byMode
  return { ...ssl, ...byMode }
}

function numberOf(name: string, value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value)
  return wrong(`has a parameter "${name}" that must be a whole number`, RangeError)
}

function flagOf(name: string, value: string): boolean {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  return wrong(`has a parameter "${name}" that must be true or false`)
}

function refuseName(name: string): never {
  if (!NAME.test(name)) return wrong('has a parameter that it may not have')
  const instead =
    INSTEAD.get(name) ?? INSTEAD.get(name.toLowerCase()) ?? 'say it beside the URI, or in driver'
  return wrong(`may not have the parameter "${name}": ${instead}`)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return wrong('has a % that begins no percent-encoded character')
  }
}

/** The URI may have a password in it, so it is not shown. */
function wrong(what: string, kind: new (message: string) => Error = TypeError): never {
  throw misuse(kind, 'ERR_MYSQL_OPTION', `MysqlPool option "uri" ${what}`)
}
