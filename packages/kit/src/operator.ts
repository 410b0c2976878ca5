import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Check, either, func, oneOf, optional, type Place, refuse } from './options.js'

/** Who may use a route that is for those who run the service: metrics, reports, snapshots. */
export interface OperatorOptions<Request> {
  /**
   * `'local'`: this machine alone. `'anyone'`: the route is open, or a network keeps strangers out. A function: whoever it
   * lets, and no token counts. Requests that another site's page makes are refused in any case. Default: whoever has the
   * token where there is one, else `'local'`.
   */
  readonly allow?: 'local' | 'anyone' | ((request: Request) => boolean | Promise<boolean>)
  /**
   * At least 16 characters that a request must show, as `Authorization: Bearer <token>` or as the password of a browser's
   * sign-in. Where there is one, this machine needs it too. Default: the environment variable `SPILLWAY_OPERATOR_TOKEN`.
   */
  readonly token?: string
}

/** What the guard looks at. */
export interface OperatorRequest {
  readonly headers: IncomingHttpHeaders
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

/** What a refused client is told to show; `undefined`: nothing would help. */
export interface OperatorRefusal {
  readonly challenge: string | undefined
}

const CHALLENGE = 'Basic realm="operator", charset="UTF-8"'

/**
 * The guard of the operator's routes, the same in all packages. It trusts the address of the socket's peer and no header:
 * headers can only make it refuse. Behind a proxy on this machine every peer is this machine; such requests have marks of
 * their way (`X-Forwarded-For` and its like, a host name that is not this machine's), and are refused without the token.
 */
export class OperatorGuard<Request> {
  readonly #allow: OperatorOptions<Request>['allow']
  readonly #token: Buffer | undefined

  /**
   * @param options checked by {@link OPERATOR_CHECKS} before
   * @param of whose options they are
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
    { headers, socket }: OperatorRequest,
  ): Promise<OperatorRefusal | undefined> {
    if (isCrossSite(headers)) return { challenge: undefined }
    if (typeof this.#allow === 'function') {
      return (await this.#allow(request)) === true ? undefined : { challenge: undefined }
    }
    if (this.#allow === 'anyone') return undefined
    if (this.#token !== undefined) {
      return shows(headers.authorization, this.#token) ? undefined : { challenge: CHALLENGE }
    }
    return isLocal(headers, socket.remoteAddress) ? undefined : { challenge: undefined }
  }
}

/** Headers of every answer of an operator's route, pages included: nothing may frame it, run in it or read it elsewhere. */
export const OPERATOR_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
})

/** A browser's request on behalf of another site's page. The sign-in of a browser goes along with those too. */
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

/** A token is compared by its digest: those have one length, and a comparison that takes the same time for all. */
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
/** What proxies say of the way of a request. */
const FORWARDED =
  /^(?:forwarded|via|x-forwarded(?:-.*)?|x-real-ip|x-client-ip|x-cluster-client-ip|client-ip|true-client-ip|cf-connecting-ip|cf-ray|fastly-client-ip|x-original-.*|x-envoy-.*|x-amzn-trace-id|forwarded-for)$/

/** A peer on this machine that asks for this machine by its own name: a page of another site that has its name resolve here does not. */
function isLocal(headers: IncomingHttpHeaders, peer: string | undefined): boolean {
  if (peer === undefined || !LOOPBACK.test(peer)) return false
  const host = hostHeader(headers)
  if (host === undefined || !LOCAL_HOST.test(host)) return false
  for (const name in headers) if (FORWARDED.test(name)) return false
  return true
}
