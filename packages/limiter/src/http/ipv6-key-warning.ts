import { canonicalGroups, isMappedIPv4 } from './ip.js'

/** Warns once when a `key` function returns a bare IPv6 address: a customer has 2^64 of them, and each would be a client. */
export class Ipv6KeyWarning {
  #isOver: boolean

  constructor(warns: boolean) {
    this.#isOver = !warns
  }

  see(key: string): void {
    if (this.#isOver || !key.includes(':') || !isBareIPv6(key)) return
    this.#isOver = true
    process.emitWarning(
      'The "key" of a rate limiter returned an IPv6 address as it is: its owner has a whole network of them, and each would be a client of its own. Use clientAddress(req) of @spillway/limiter in its place.',
      { code: 'SPILLWAY_IPV6_KEY' },
    )
  }
}

/** Not an address that carries an IPv4 one, which no client can choose. */
function isBareIPv6(key: string): boolean {
  const groups = canonicalGroups(key.split('%', 1)[0]!)
  return groups !== undefined && !isMappedIPv4(groups)
}
