import type { IncomingMessage } from 'node:http'
import { misuse } from '@spillway/kit'
import {
  bareAddress,
  canonicalGroups,
  isInside,
  isMappedIPv4,
  parseSubnet,
  prefixOf,
  type Subnet,
} from './ip.js'

/**
 * Which hops in front of the app may say who the client is: `0` nobody (the address of the socket counts), a number of
 * proxies, or the subnets that they stand in.
 */
export type Trust = number | readonly string[]

/** What the socket of a client keeps, since it brings many requests: its key, for one length of the prefix. */
const CLIENT = Symbol('spillway.limiter.client')

interface Known {
  readonly prefix: number
  readonly key: string
}

interface Addressed {
  readonly remoteAddress?: string | undefined
  [CLIENT]?: Known
}

/**
 * The key of a client by its address. Independent of what the framework trusts. Looks at `X-Forwarded-For` from the
 * right, since only what trusted proxies appended is true. IPv6 clients own a whole prefix, so the prefix is the key.
 */
export class ClientAddress {
  readonly #hops: number
  readonly #subnets: readonly Subnet[] | undefined
  readonly #prefix: number
  #warned: boolean

  /** @throws TypeError | RangeError `ERR_LIMITER_OPTION` */
  constructor(trust: Trust, prefix: number, warns = true) {
    this.#warned = !warns
    this.#hops = typeof trust === 'number' ? trust : 0
    this.#subnets = typeof trust === 'number' ? undefined : trust.map(subnetOf)
    this.#prefix = prefix
  }

  /** The key, or `undefined` when there is no address (a Unix socket, a client that is gone). */
  of(req: IncomingMessage): string | undefined {
    const forwarded = req.headers['x-forwarded-for']
    if (forwarded === undefined) return this.#keyOfSocket(req.socket)
    if (this.#hops === 0 && this.#subnets === undefined) {
      this.#warnOnce()
      return this.#keyOfSocket(req.socket)
    }
    const client = this.clientOf(
      req.socket.remoteAddress,
      Array.isArray(forwarded) ? forwarded.join(',') : forwarded,
    )
    return client === undefined ? undefined : this.keyOf(client)
  }

  /** The address that the last trusted hop saw. */
  clientOf(socket: string | undefined, forwarded: string): string | undefined {
    const hops = forwarded.split(',').map(bareAddress)
    if (this.#subnets === undefined) {
      if (this.#hops === 0) return socket
      return hops[Math.max(0, hops.length - this.#hops)] || socket
    }
    let client = socket
    while (hops.length > 0 && (client === undefined || this.#isTrusted(client))) {
      const next = hops.pop()!
      if (canonicalGroups(next) === undefined) break
      client = next
    }
    return client
  }

  /** One key for every notation of an address: IPv4 as it is, IPv6 by its prefix. */
  keyOf(address: string): string {
    if (!address.includes(':')) return address
    const bare = bareAddress(address)
    const groups = canonicalGroups(bare)
    if (groups === undefined) return bare
    if (isMappedIPv4(groups)) {
      const [high, low] = [groups[6]!, groups[7]!]
      return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
    }
    const prefix = prefixOf(groups, this.#prefix)
    return `${prefix.map((group) => group.toString(16)).join(':')}/${this.#prefix}`
  }

  #keyOfSocket(socket: Addressed): string | undefined {
    const known = socket[CLIENT]
    if (known !== undefined && known.prefix === this.#prefix) return known.key
    const { remoteAddress } = socket
    if (remoteAddress === undefined) return undefined
    const key = this.keyOf(remoteAddress)
    socket[CLIENT] = { prefix: this.#prefix, key }
    return key
  }

  #isTrusted(address: string): boolean {
    const groups = canonicalGroups(bareAddress(address))
    return groups !== undefined && this.#subnets!.some((subnet) => isInside(groups, subnet))
  }

  #warnOnce(): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      'A request came with X-Forwarded-For, which the rate limiter ignores: behind a proxy, all its clients share one key. Set "trust" to the number of proxies or to their subnets.',
      { code: 'SPILLWAY_FORWARDED' },
    )
  }
}

function subnetOf(text: string): Subnet {
  const subnet = parseSubnet(text)
  if (subnet === undefined) {
    throw misuse(TypeError, 'ERR_LIMITER_OPTION', `rateLimit option "trust" has no subnet in '${text}'`)
  }
  return subnet
}
