import type { IncomingMessage } from 'node:http'
import { defineOptions, integer } from '@spillway/kit'
import { ClientAddress, type Trust, trustCheck } from './address.js'

/** Options of `clientAddress`. */
export interface ClientAddressOptions {
  /** Proxies in front of the app: their number, or their subnets. Default: `0`, the address of the socket counts. */
  readonly trust?: Trust
  /** Bits of an IPv6 address that are one client, 32 to 128. Default: 64. */
  readonly ipv6Prefix?: number
}

export const CLIENT_ADDRESS_DEFAULTS = Object.freeze({ trust: 0, ipv6Prefix: 64 })

export const CLIENT_ADDRESS_CHECKS = {
  trust: trustCheck,
  ipv6Prefix: integer({ min: 32, max: 128 }),
} as const

const resolveOptions = defineOptions(
  'limiter',
  'clientAddress',
  CLIENT_ADDRESS_CHECKS,
  CLIENT_ADDRESS_DEFAULTS,
)
const usual = new ClientAddress(CLIENT_ADDRESS_DEFAULTS.trust, CLIENT_ADDRESS_DEFAULTS.ipv6Prefix)

/** By the options as text: an app has one or two sets of them, and makes a new object for each call. */
const known = new Map<string, ClientAddress>()
const MOST_KNOWN = 64

/**
 * The address of a client as `rateLimit` uses it for the key: one text for all notations of an address, the prefix for
 * an IPv6 client, and never a part of `X-Forwarded-For` that the client itself wrote. For a `key` of your own, with the same
 * options as the limiter:
 *
 * ```ts
 * rateLimit({ limit: 100, window: '15m', key: (req) => req.user?.id ?? clientAddress(req) })
 * ```
 *
 * @returns `undefined` when there is no address: a Unix socket, a client that is gone
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function clientAddress(req: IncomingMessage, options?: ClientAddressOptions): string | undefined {
  return (options === undefined ? usual : resolverOf(options)).of(req)
}

function resolverOf(options: ClientAddressOptions): ClientAddress {
  const { trust, ipv6Prefix } = resolveOptions(options)
  const written = `${ipv6Prefix} ${trust}`
  let address = known.get(written)
  if (address === undefined) {
    address = new ClientAddress(trust, ipv6Prefix)
    if (known.size >= MOST_KNOWN) known.clear()
    known.set(written, address)
  }
  return address
}
