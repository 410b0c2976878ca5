import * as crypto from 'node:crypto'
import { misuse } from '@spillway/kit'

export interface Argon2Cost {
  /** KiB. */
  readonly memory: number
  readonly passes: number
  readonly lanes: number
}

/** OWASP's recommendation for Argon2id (Password Storage Cheat Sheet). */
export const ARGON2_COST: Argon2Cost = { memory: 19_456, passes: 2, lanes: 1 }

/** Node 24.7 and later. */
type WithArgon2 = typeof crypto & {
  readonly argon2Sync?: (
    algorithm: 'argon2id',
    parameters: {
      readonly message: string
      readonly nonce: Uint8Array
      readonly parallelism: number
      readonly tagLength: number
      readonly memory: number
      readonly passes: number
    },
  ) => Buffer
}

/**
 * Argon2id (RFC 9106).
 *
 * @throws Error `ERR_OFFLOAD_ARGON2` when this Node does not have it
 */
export function argon2id(password: string, salt: Uint8Array, length: number, cost: Argon2Cost): Buffer {
  const { argon2Sync }: WithArgon2 = crypto
  if (argon2Sync === undefined) {
    throw misuse(
      Error,
      'ERR_OFFLOAD_ARGON2',
      `Node ${process.versions.node} has no Argon2, which comes with 24.7: use scrypt`,
    )
  }
  return argon2Sync('argon2id', {
    message: password,
    nonce: salt,
    parallelism: cost.lanes,
    tagLength: length,
    memory: cost.memory,
    passes: cost.passes,
  })
}
