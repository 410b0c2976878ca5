import { refuseParameter } from '../errors.js'

/** What a row can be looked up by. */
export type LoaderKey = string | number | bigint | Date | Uint8Array

/** Bytes of a key at most: more than any column has that an index could hold. */
const LONGEST = 65_535

/** Keys of one kind are compared by the server in one way. Those of several kinds in one list would not be. */
export type Kind = 'text' | 'number' | 'date' | 'bytes'

/** Which comparison a key needs. @throws TypeError `ERR_MYSQL_PARAMETER` when it is no key */
export function kindOf(key: unknown): Kind {
  const kind = kindOrNone(key)
  if (kind === 'number') return kind
  if (kind === undefined) {
    refuseParameter(
      undefined,
      'A key of a loader must be a string, a finite number, a bigint, a valid Date or bytes',
    )
  }
  if (sizeOf(key as LoaderKey) > LONGEST) {
    refuseParameter(undefined, `A key of a loader must have at most ${LONGEST} bytes`)
  }
  return kind
}

function kindOrNone(key: unknown): Kind | undefined {
  switch (typeof key) {
    case 'string':
      return 'text'
    case 'bigint':
      return 'number'
    case 'number':
      return Number.isFinite(key) ? 'number' : undefined
    default:
      if (key instanceof Uint8Array) return 'bytes'
      return key instanceof Date && !Number.isNaN(key.getTime()) ? 'date' : undefined
  }
}

/** Bytes that it takes in a statement, about. */
export function sizeOf(key: LoaderKey): number {
  if (typeof key === 'number') return 24
  if (typeof key === 'string') return key.length > LONGEST ? key.length : Buffer.byteLength(key)
  return key instanceof Uint8Array ? key.byteLength : 24
}

/**
 * One text for each value: the same for a key and for the column's value that the server sends for it. Values with one
 * text are equal for the server, too; values with different ones may be.
 */
export function identityOf(value: unknown): string {
  // A text that looks like one of those below is told apart from them.
  if (typeof value === 'string') return value.charCodeAt(0) === 0 ? `\0${value}` : value
  if (typeof value !== 'object') return String(value)
  if (value instanceof Date) return `\x00at ${value.getTime()}`
  if (value instanceof Uint8Array) {
    return `\x00bytes ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  return '\x00other'
}

/** A whole number as a server writes it: in a column of such, it is equal to nothing else. */
export function isWhole(key: LoaderKey): boolean {
  if (typeof key === 'bigint') return true
  if (typeof key === 'number') return Number.isSafeInteger(key)
  return typeof key === 'string' && key.length <= 20 && /^(0|-?[1-9]\d{0,18})$/.test(key)
}
