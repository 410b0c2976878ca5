import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import { misuse } from '@spillway/kit'
import { ARGON2_COST, argon2id } from './argon2.js'

export interface HashPasswordInput {
  readonly password: string
  /**
   * `'argon2id'` comes with Node 24.7; every process that is to verify the hash must have it, so that Node's version does not
   * choose. Default: `'scrypt'`.
   */
  readonly algorithm?: 'scrypt' | 'argon2id'
  /** Binary logarithm of scrypt's cost N. Each step doubles time and memory (17: 128 MB). 1 to 20. Default: 17. */
  readonly logN?: number
}

/** OWASP's first recommendation for scrypt (Password Storage Cheat Sheet): N = 2^17, r = 8, p = 1. */
const LOG_N = 17
const R = 8
const P = 1
const SALT_BYTES = 16
const HASH_BYTES = 32

/**
 * PHC strings. The salt has 8 to 64 bytes (RFC 9106 asks for 8 at least), the hash 16 to 64: of one that was cut short a
 * second password would be found soon, of one byte at once.
 */
const SCRYPT =
  /^\$scrypt\$ln=([1-9]\d?),r=([1-9]\d{0,2}),p=([1-9]\d?)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
const ARGON2 =
  /^\$argon2id\$v=19\$m=([1-9]\d{0,6}),t=([1-9]\d{0,2}),p=([1-9]\d?)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
/** A stored hash that asks for more than this is not one of ours; it must not take the machine's memory. */
const MAX_MEMORY = 1024 ** 3
/** Nor its time: sixteen times the usual cost, N x r x p. */
const MAX_SCRYPT_WORK = 16 * 2 ** 17 * 8
/** KiB x passes: four passes over all the memory there may be. */
const MAX_ARGON2_WORK = 4 * 1024 ** 2
/** The largest cost whose hash can be verified. */
const MAX_LOG_N = 20

/**
 * Hashes a password with scrypt (RFC 7914) or Argon2id (RFC 9106) and a random salt, as a PHC string, such as
 * `$scrypt$ln=17,r=8,p=1$salt$hash`. Store it as it is.
 *
 * @throws RangeError `ERR_OFFLOAD_OPTION` for a cost that would be too large to verify
 * @throws Error `ERR_OFFLOAD_ARGON2` when Argon2 is asked for and this Node does not have it
 */
export function hashPassword({ password, algorithm = 'scrypt', logN = LOG_N }: HashPasswordInput): string {
  const salt = randomBytes(SALT_BYTES)
  if (algorithm === 'argon2id') {
    const { memory, passes, lanes } = ARGON2_COST
    const hash = argon2id(normal(password), salt, HASH_BYTES, ARGON2_COST)
    return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(hash)}`
  }
  if (!Number.isInteger(logN) || logN < 1 || logN > MAX_LOG_N) {
    throw misuse(
      RangeError,
      'ERR_OFFLOAD_OPTION',
      `hashPassword option "logN" must be an integer from 1 to ${MAX_LOG_N}`,
    )
  }
  const hash = scrypt(normal(password), salt, HASH_BYTES, { logN, r: R, p: P })
  return `$scrypt$ln=${logN},r=${R},p=${P}$${unpadded(salt)}$${unpadded(hash)}`
}

export interface VerifyPasswordInput {
  readonly password: string
  /** What `hashPassword` gave, or another PHC string of scrypt or Argon2id. */
  readonly hash: string
}

/**
 * Whether a password matches a stored hash, compared in constant time. A string that is no valid hash matches no password: one
 * that was cut or changed, whose hash is shorter than 16 bytes, or that asks for more than 1 GiB or 16 times the usual work.
 *
 * @throws Error `ERR_OFFLOAD_ARGON2` when it is one of Argon2 and this Node does not have it
 */
export function verifyPassword({ password, hash }: VerifyPasswordInput): boolean {
  const [, first, second, third, salt = '', expected = ''] = SCRYPT.exec(hash) ?? ARGON2.exec(hash) ?? []
  if (first === undefined) return false
  const cost = [Number(first), Number(second), Number(third)] as const
  const wanted = Buffer.from(expected, 'base64')
  // Text that base64 would not write, such as one with a character left over, is no hash.
  if (unpadded(wanted) !== expected || unpadded(Buffer.from(salt, 'base64')) !== salt) return false
  const derive = hash.startsWith('$scrypt$') ? againScrypt : againArgon2
  const actual = derive(normal(password), Buffer.from(salt, 'base64'), wanted.length, cost)
  return actual !== undefined && timingSafeEqual(actual, wanted)
}

type Cost = readonly [number, number, number]

function againScrypt(
  password: string,
  salt: Uint8Array,
  length: number,
  [logN, r, p]: Cost,
): Buffer | undefined {
  const cost = { logN, r, p }
  const absurd = 128 * r * 2 ** logN > MAX_MEMORY || r * p * 2 ** logN > MAX_SCRYPT_WORK
  return absurd ? undefined : scrypt(password, salt, length, cost)
}

function againArgon2(
  password: string,
  salt: Uint8Array,
  length: number,
  [memory, passes, lanes]: Cost,
): Buffer | undefined {
  const absurd = memory * 1024 > MAX_MEMORY || memory * passes > MAX_ARGON2_WORK || memory < 8 * lanes
  return absurd ? undefined : argon2id(password, salt, length, { memory, passes, lanes })
}

interface ScryptCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

function scrypt(password: string, salt: Uint8Array, length: number, cost: ScryptCost): Buffer {
  const { logN, r, p } = cost
  return scryptSync(password, salt, length, { N: 2 ** logN, r, p, maxmem: 2 * memoryOf(cost) })
}

function memoryOf({ logN, r, p }: ScryptCost): number {
  return 128 * r * (2 ** logN + p)
}

/** One password typed on two keyboards may be two sequences of code points (NIST SP 800-63B, 5.1.1.2). */
function normal(password: string): string {
  return password.normalize('NFKC')
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/={1,2}$/, '')
}
