import { misuse } from '@spillway/kit'

/** What decides the shard of a row: what is stored together has the same one. */
export type ShardKey = string | number | bigint

/** Characters of a key, at most: more than an index could hold. */
const LONGEST = 3_072

const ZERO = 48

/** A number in scientific notation is written out up to this exponent, which is more than a DOUBLE has. */
const LARGEST_EXPONENT = 400

/**
 * The one text of a key, the same for every way to say the same SQL value.
 *
 * Numbers: 7, 7n, '7', '007', '+7', ' 7 ', '7.0', '7.' and '0.7e1' are `n7`, since a number's column takes all of them for 7.
 *
 * Texts: letters that differ in case, in accents or in form (composed, decomposed, wide), and blanks at the end, make no
 * difference, as they make none in the collations that servers use by default. Where a column does tell them apart, the
 * two rows are on one shard, which is no harm.
 *
 * @throws TypeError `ERR_MYSQL_SHARD` when it is no key
 */
export function canonicalKey(key: ShardKey): string {
  switch (typeof key) {
    case 'bigint':
      return `n${key}`
    case 'number':
      if (!Number.isFinite(key)) throw noKey(String(key))
      if (Number.isInteger(key) && !Number.isSafeInteger(key))
        throw noKey('a number beyond 2^53, whose digits are not all there: say it as a string or a bigint')
      return `n${decimalOf(String(key))}`
    case 'string': {
      if (key.length > LONGEST) throw noKey(`a text of more than ${LONGEST} characters`)
      const folded = foldedOf(key)
      const decimal = decimalOf(folded)
      return decimal === undefined ? `s${folded}` : `n${decimal}`
    }
    default:
      throw noKey(key === null ? 'null' : typeof key === 'object' ? 'an object' : `a ${typeof key}`)
  }
}

/** What is left of a text when nothing of it counts that most collations ignore. */
function foldedOf(text: string): string {
  const bare = isAscii(text) ? text : text.normalize('NFKD').replace(/\p{M}/gu, '')
  // Upper case first: some letters have only there what they share with others, as the German sharp s.
  return bare.toUpperCase().toLowerCase().trimEnd()
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false
  return true
}

/** The digits of a decimal number without what does not count; `undefined` when it is none. */
function decimalOf(text: string): string | undefined {
  const match = /^([+-]?)(\d{0,4000})(?:\.(\d{0,4000}))?(?:e([+-]?\d{1,9}))?$/.exec(text.trim())
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', power = '0'] = match
  const exponent = Number(power)
  if (whole + fraction === '' || Math.abs(exponent) > LARGEST_EXPONENT) return undefined
  const [before, after] = shifted(whole, fraction, exponent)
  const integer = withoutLeadingZeros(before)
  const rest = withoutTrailingZeros(after)
  const digits = rest === '' ? integer : `${integer}.${rest}`
  return sign === '-' && digits !== '0' ? `-${digits}` : digits
}

/** The digits before and behind the point when it is moved by so many places. */
function shifted(whole: string, fraction: string, places: number): readonly [string, string] {
  if (places >= 0) {
    const digits = fraction.padEnd(places, '0')
    return [whole + digits.slice(0, places), digits.slice(places)]
  }
  const digits = whole.padStart(-places, '0')
  return [digits.slice(0, places), digits.slice(places) + fraction]
}

function withoutLeadingZeros(digits: string): string {
  let at = 0
  while (at < digits.length - 1 && digits.charCodeAt(at) === ZERO) at++
  return digits.slice(at) || '0'
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length
  while (end > 0 && digits.charCodeAt(end - 1) === ZERO) end--
  return digits.slice(0, end)
}

function noKey(what: string): Error & { readonly code: string } {
  return misuse(
    TypeError,
    'ERR_MYSQL_SHARD',
    `The key of a shard must be a string, a number or a bigint, not ${what}`,
  )
}
