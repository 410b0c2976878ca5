import { canonicalKey, type ShardKey } from './shard-key.js'

const MASK = 0xffff_ffff_ffff_ffffn

/**
 * The shard of a key by jump consistent hashing (Lamping and Veach, 2014): the shards are numbered by their place in
 * `names`, and the key jumps from number to number, ever further, for as long as it lands on one that exists. No shard
 * is better than another, and a new last one takes its share evenly from all; only the last can be taken away. An
 * integer is the algorithm's 64-bit key itself, also when it is written as a string; any other text goes through
 * {@link fnv} in the form of {@link canonicalKey}: other languages find the same shard.
 *
 * @throws TypeError `ERR_MYSQL_SHARD` when it is no key
 */
export function jump(key: ShardKey, names: readonly string[]): string {
  let bits = bitsOf(canonicalKey(key))
  let at = 0
  let next = 0
  while (next < names.length) {
    at = next
    bits = (bits * 2862933555777941757n + 1n) & MASK
    next = Math.floor(((at + 1) * 2 ** 31) / (Number(bits >> 33n) + 1))
  }
  return names[at]!
}

function bitsOf(canonical: string): bigint {
  const text = canonical.slice(1)
  const isInteger = canonical.startsWith('n') && !text.includes('.')
  return isInteger ? BigInt(text) & MASK : fnv(text)
}

/** FNV-1a of the text in UTF-8, 64 bits. */
function fnv(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK
  return hash
}
