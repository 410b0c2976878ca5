import { canonicalKey, type ShardKey } from './shard-key.js'

/**
 * The shard of a key by rendezvous hashing (Thaler and Ravishankar, 1996): each shard has a score for the key and the
 * highest wins. Adding a shard moves only the keys it wins; removing one moves only those it had.
 *
 * @throws TypeError `ERR_MYSQL_SHARD` when it is no key
 */
export function rendezvous(key: ShardKey, names: readonly string[]): string {
  const text = canonicalKey(key)
  let best = names[0]!
  let highest = -1
  for (const name of names) {
    const score = hash(`${name}\u0000${text}`)
    if (score > highest || (score === highest && name < best)) {
      best = name
      highest = score
    }
  }
  return best
}

/** FNV-1a over UTF-16 units in two lanes, finished as MurmurHash3 does: 52 bits. The same in every process, for ever. */
function hash(text: string): number {
  let low = 0x811c9dc5
  let high = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ unit, 0x85ebca6b)
  }
  return (mix(high) & 0xfffff) * 2 ** 32 + mix(low ^ high)
}

function mix(value: number): number {
  let bits = value ^ (value >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits ^= bits >>> 13
  bits = Math.imul(bits, 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
