/** An amount of memory: a number of bytes, or a string such as `'512kb'`, `'64mb'`, `'2gb'` (powers of 1024). */
export type Size = number | `${number}${SizeUnit}`
export type SizeUnit = 'b' | 'kb' | 'mb' | 'gb'

const BYTES: Readonly<Record<SizeUnit, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

const PATTERN = /^(\d+(?:\.\d+)?)(b|kb|mb|gb)$/i

/** The bytes in a size, or `undefined` when it is not one. Fractions of a byte are dropped. */
export function sizeBytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined
  if (typeof value !== 'string') return undefined
  const match = PATTERN.exec(value)
  if (match === null) return undefined
  const bytes = Math.floor(Number(match[1]) * BYTES[match[2]!.toLowerCase() as SizeUnit])
  return Number.isFinite(bytes) ? bytes : undefined
}
