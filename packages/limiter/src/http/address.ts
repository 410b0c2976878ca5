import type { IncomingMessage } from 'node:http'
import { type Check, either, integer, list, misuse, string } from '@spillway/kit'
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
 * The proxies whose `X-Forwarded-For` is believed: `0` for none, so that the address of the socket counts, a number of
 * proxies, or their subnets.
 */
export type Trust = number | readonly string[]

export const trustCheck: Check<Trust> = either(integer({ min: 0, max: 64 }), list(string()))

/** The key of a client, kept on its socket, which brings many requests; for one length of the prefix. */
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
 * Resolver of client addresses, independent of the proxy settings of the framework. Reads `X-Forwarded-For` from the right,
 * since only the part that trusted proxies appended is true. An IPv6 client owns a whole prefix, so the prefix is the key.
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

  /** The address that the outermost trusted proxy saw. */
  clientOf(socket: string | undefined, forwarded: string): string | undefined {
    if (this.#subnets === undefined) return this.#hops === 0 ? socket : hopOf(forwarded, this.#hops) || socket
    let client = socket
    for (const hop of fromRight(forwarded)) {
      if (client !== undefined && !this.#isTrusted(client)) break
      if (canonicalGroups(hop) === undefined) break
      client = hop
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

/** The `n`th hop from the right, or the first one where there are fewer. */
function hopOf(forwarded: string, n: number): string {
  let found = ''
  let left = n
  for (const hop of fromRight(forwarded)) {
    found = hop
    if (--left === 0) break
  }
  return found
}

/** The addresses in the field, the last one first; the rest of the field is not read before it is asked for. */
function* fromRight(forwarded: string): Generator<string> {
  for (let end = forwarded.length; end >= 0; ) {
    const comma = end === 0 ? -1 : forwarded.lastIndexOf(',', end - 1)
    yield bareAddress(apart(forwarded, comma + 1, end))
    end = comma
  }
}

/** A part of a text; of a long one it is a copy, since a slice would keep the whole text as long as the key. */
function apart(text: string, from: number, to: number): string {
  const part = text.slice(from, to)
  return text.length > LONG_FIELD && part.length <= LONG_FIELD ? Buffer.from(part).toString() : part
}

/** Longer than a few addresses. */
const LONG_FIELD = 128

function subnetOf(text: string): Subnet {
  const subnet = parseSubnet(text)
  if (subnet === undefined) {
    throw misuse(TypeError, 'ERR_LIMITER_OPTION', `rateLimit option "trust" has no subnet in '${text}'`)
  }
  return subnet
}
