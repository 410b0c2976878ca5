import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Check, either, func, oneOf, optional, type Place, refuse } from './options.js'

/** Access to a route for the operators of a service: metrics, reports, snapshots. */
export interface OperatorOptions<Request> {
  /**
   * `'local'`: clients on this machine. `'anyone'`: all clients, where a firewall keeps strangers out. A function: the
   * requests for which it returns `true`; the token does not count then. A request that a page of another site makes is
   * refused in any case. Default: requests with the token where there is a token, else `'local'`.
   *
   * A proxy on this machine that sends neither `X-Forwarded-For` nor the client's `Host` makes every client look local: nginx
   * with a bare `proxy_pass` does (over HTTP/1.0, which `'local'` refuses; newer versions use 1.1). Set a token there.
   */
  readonly allow?: 'local' | 'anyone' | ((request: Request) => boolean | Promise<boolean>)
  /**
   * 16 to 512 printable characters that each request must carry, clients on this machine included, as `Authorization: Bearer
   * <token>` or as the password of a browser's sign-in. Default: the environment variable `SPILLWAY_OPERATOR_TOKEN`.
   */
  readonly token?: string
}

/** What the guard reads of a request. */
export interface OperatorRequest {
  readonly headers: IncomingHttpHeaders
  readonly httpVersion?: string
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** A secret: an error does not show it. */
const TOKEN: Check<string> = (value, place) => {
  if (typeof value === 'string' && /^[\x21-\x7e]{16,512}$/.test(value)) return value
  const errorClass = typeof value === 'string' ? RangeError : TypeError
  return refuse(errorClass, place, '16 to 512 printable characters without spaces', '(hidden)')
}

/** The checks of {@link OperatorOptions}, for `defineOptions`. */
export const OPERATOR_CHECKS = {
  allow: optional(either(oneOf('local', 'anyone'), func<(request: never) => unknown>())),
  token: optional(TOKEN),
}

/** A refused request. */
export interface OperatorRefusal {
  /** Value of `WWW-Authenticate`; `undefined` where no credentials would help. */
  readonly challenge: string | undefined
}

const CHALLENGE = 'Basic realm="operator", charset="UTF-8"'

/**
 * Guard of the operators' routes, the same in all packages. It trusts the address of the socket's peer and no header:
 * headers can only make it refuse. Behind a proxy on this machine every peer is this machine; such a request is known by what
 * proxies add (`X-Forwarded-For` and the like), by a `Host` that is not this machine's, or by HTTP/1.0, and is refused without
 * the token.
 */
export class OperatorGuard<Request> {
  readonly #allow: OperatorOptions<Request>['allow']
  readonly #token: Buffer | undefined

  /**
   * @param options checked by {@link OPERATOR_CHECKS} before
   * @param of owner of the options and code of its errors, for messages
   * @throws TypeError for a token beside an `allow` that leaves it without effect | RangeError for a weak token
   */
  constructor({ allow, token }: OperatorOptions<Request>, of: Pick<Place, 'owner' | 'code'>) {
    this.#allow = allow
    if (token !== undefined && allow !== undefined) {
      refuse(TypeError, { ...of, name: 'allow' }, "left out beside 'token'", allow)
    }
    const secret =
      token ?? (allow === undefined ? process.env.SPILLWAY_OPERATOR_TOKEN || undefined : undefined)
    if (secret !== undefined) {
      this.#token = digest(TOKEN(secret, { ...of, name: 'token (SPILLWAY_OPERATOR_TOKEN)' }))
    }
  }

  /** Why a request is refused; `undefined` when it is not. */
  async refusal(
    request: Request,
    { headers, httpVersion, socket }: OperatorRequest,
  ): Promise<OperatorRefusal | undefined> {
    if (isCrossSite(headers)) return { challenge: undefined }
    if (typeof this.#allow === 'function') {
      return (await this.#allow(request)) === true ? undefined : { challenge: undefined }
    }
    if (this.#allow === 'anyone') return undefined
    if (this.#token !== undefined) {
      return shows(headers.authorization, this.#token) ? undefined : { challenge: CHALLENGE }
    }
    const local = httpVersion !== '1.0' && isLocal(headers, socket.remoteAddress)
    return local ? undefined : { challenge: undefined }
  }
}

/** Headers of every response of an operators' route: no site may frame it, add a script to it, or read it. */
export const OPERATOR_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
})

/** A browser's request on behalf of another site's page; the browser adds the saved password to such requests too. */
function isCrossSite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin } = headers
  return origin !== undefined && hostOf(origin) !== hostHeader(headers)?.toLowerCase()
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase()
}

function hostHeader(headers: IncomingHttpHeaders): string | undefined {
  return headers.host ?? (headers[':authority'] as string | undefined)
}

/** Tokens are compared by their digests, which have one length, in constant time. */
function shows(authorization: string | undefined, token: Buffer): boolean {
  if (authorization === undefined || authorization.length > 2_048) return false
  const [, scheme, credentials] = /^(bearer|basic) +([^ ]+) *$/i.exec(authorization) ?? []
  if (credentials === undefined) return false
  if (scheme!.toLowerCase() === 'bearer') return timingSafeEqual(digest(credentials), token)
  const pair = Buffer.from(credentials, 'base64').toString()
  return timingSafeEqual(digest(pair.slice(pair.indexOf(':') + 1)), token)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

const LOOPBACK = /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$|^::1$/i
const LOCAL_HOST = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i
/** Headers that proxies add to a request. */
const FORWARDED =
  /^(?:forwarded|via|x-forwarded(?:-.*)?|x-real-ip|x-client-ip|x-cluster-client-ip|client-ip|true-client-ip|cf-connecting-ip|cf-ray|fastly-client-ip|x-original-.*|x-envoy-.*|x-amzn-trace-id|forwarded-for)$/

/** A peer on this machine that names this machine as its `Host`; a page of a name that was made to resolve here (DNS rebinding) does not. */
function isLocal(headers: IncomingHttpHeaders, peer: string | undefined): boolean {
  if (peer === undefined || !LOOPBACK.test(peer)) return false
  const host = hostHeader(headers)
  if (host === undefined || !LOCAL_HOST.test(host)) return false
  for (const name in headers) if (FORWARDED.test(name)) return false
  return true
}
