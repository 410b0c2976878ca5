/** The bytes of an IPv4 address in dotted form, or `undefined`. */
export function parseIPv4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = parts.map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256))
  return bytes.every((byte) => byte < 256) ? bytes : undefined
}

/** Length of the longest text of an address: IPv6 with a dotted tail. */
const LONGEST = 45

/** The eight groups of an IPv6 address (RFC 4291 section 2.2: `::`, dotted tail), or `undefined`. */
export function parseIPv6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groupsOf(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  return [...head, ...new Array<number>(missing).fill(0), ...tail]
}

function groupsOf(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (mayEndDotted && i === parts.length - 1 && part.includes('.')) {
      const bytes = parseIPv4(part)
      if (bytes === undefined) return undefined
      groups.push(bytes[0]! * 256 + bytes[1]!, bytes[2]! * 256 + bytes[3]!)
    } else if (/^[\da-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

/** An address without port, brackets and zone: `[2001:db8::1%eth0]:443` is `2001:db8::1`, `1.2.3.4:80` is `1.2.3.4`. */
export function bareAddress(text: string): string {
  let address = text.trim()
  if (address.startsWith('[')) address = address.slice(1, Math.max(1, address.indexOf(']')))
  else if (address.indexOf(':') === address.lastIndexOf(':')) address = address.split(':', 1)[0]!
  return address.split('%', 1)[0]!
}

/**
 * An address as 16 bytes-in-groups, IPv4 as IPv4-mapped IPv6 (`::ffff:0:0/96`), so that one comparison serves both.
 * An address of NAT64 (`64:ff9b::/96`, RFC 6052) is that of the IPv4 client behind it.
 */
export function canonicalGroups(text: string): number[] | undefined {
  if (text.length > LONGEST) return undefined
  const v4 = parseIPv4(text)
  if (v4 !== undefined) return [0, 0, 0, 0, 0, 0xffff, v4[0]! * 256 + v4[1]!, v4[2]! * 256 + v4[3]!]
  const groups = parseIPv6(text)
  if (groups === undefined) return undefined
  const isNat64 =
    groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)
  return isNat64 ? [0, 0, 0, 0, 0, 0xffff, groups[6]!, groups[7]!] : groups
}

/** Whether this is an IPv4 address, as {@link canonicalGroups} has it. */
export function isMappedIPv4(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}

/** The first `bits` bits of an address; the rest is zero. */
export function prefixOf(groups: readonly number[], bits: number): number[] {
  return groups.map((group, i) => {
    const kept = Math.min(16, Math.max(0, bits - i * 16))
    return group & (0xffff << (16 - kept)) & 0xffff
  })
}

/** A range of addresses. */
export interface Subnet {
  readonly groups: readonly number[]
  readonly bits: number
}

/** The subnet in `10.0.0.0/8`, `2001:db8::/32` or a single address; `undefined` for any other text. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = '', size, rest] = text.split('/')
  const groups = canonicalGroups(address)
  if (groups === undefined || rest !== undefined) return undefined
  const shift = parseIPv4(address) === undefined ? 0 : 96
  const bits = size === undefined ? 128 : /^\d{1,3}$/.test(size) ? Number(size) + shift : 129
  if (bits > 128) return undefined
  // `::ffff:10.0.0.0/8` would be all of IPv4 and more, and is meant as 10.0.0.0/8.
  if (isMappedIPv4(groups) && bits < 96) return undefined
  return { groups: prefixOf(groups, bits), bits }
}

/** Whether an address lies in a subnet. */
export function isInside(groups: readonly number[], subnet: Subnet): boolean {
  return prefixOf(groups, subnet.bits).every((group, i) => group === subnet.groups[i])
}
