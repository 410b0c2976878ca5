import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'

export interface HashPasswordInput {
  readonly password: string
  /** Binary logarithm of scrypt's cost N. Each step doubles time and memory (17: 128 MB). Default: 17. */
  readonly logN?: number
}

/** OWASP's first recommendation for scrypt (Password Storage Cheat Sheet): N = 2^17, r = 8, p = 1. */
const LOG_N = 17
const R = 8
const P = 1
const SALT_BYTES = 16
const HASH_BYTES = 32

const PATTERN = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/
/** A stored hash that asks for more than this is not one of ours; it must not take the machine's memory. */
const MAX_MEMORY = 1024 ** 3

/**
 * Hashes a password with scrypt (RFC 7914) and a random salt, as a PHC string: `$scrypt$ln=17,r=8,p=1$salt$hash`. Store it
 * as it is.
 */
export function hashPassword({ password, logN = LOG_N }: HashPasswordInput): string {
  const salt = randomBytes(SALT_BYTES)
  const hash = derive(password, salt, HASH_BYTES, { logN, r: R, p: P })
  return `$scrypt$ln=${logN},r=${R},p=${P}$${unpadded(salt)}$${unpadded(hash)}`
}

export interface VerifyPasswordInput {
  readonly password: string
  /** What `hashPassword` gave. */
  readonly hash: string
}

/** Whether it is the password of this hash, compared in constant time. A string that is no such hash is nobody's. */
export function verifyPassword({ password, hash }: VerifyPasswordInput): boolean {
  const match = PATTERN.exec(hash)
  if (match === null) return false
  const cost = { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
  if (cost.logN === 0 || memoryOf(cost) > MAX_MEMORY) return false
  const expected = Buffer.from(match[5]!, 'base64')
  const actual = derive(password, Buffer.from(match[4]!, 'base64'), expected.length, cost)
  return timingSafeEqual(actual, expected)
}

interface Cost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

function derive(password: string, salt: Uint8Array, length: number, cost: Cost): Buffer {
  const { logN, r, p } = cost
  // One password typed on two keyboards may be two sequences of code points (NIST SP 800-63B, 5.1.1.2).
  const normal = password.normalize('NFKC')
  return scryptSync(normal, salt, length, { N: 2 ** logN, r, p, maxmem: 2 * memoryOf(cost) })
}

function memoryOf({ logN, r, p }: Cost): number {
  return 128 * r * (2 ** logN + p)
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
