import { misuse } from '@spillway/kit'

/** What decides the shard of a row: what is stored together has the same one. */
export type ShardKey = string | number | bigint

/** Characters of a key, at most: more than an index could hold. */
const LONGEST = 3_072

const ZERO = 48
const NINE = 57
const DOT = 46

/**
 * The one text of a key, the same for every way to say the same SQL value: 7, 7n, '7', '007', '+7', ' 7 ' and '7.0' are
 * `n7`, since a number's column takes all of them for 7. Any other text is `s` and itself, character by character: where
 * a column knows no difference of case, the application must choose one.
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
      return `n${decimalOf(String(key)) ?? key}`
    case 'string': {
      if (key.length > LONGEST) throw noKey(`a text of more than ${LONGEST} characters`)
      const decimal = decimalOf(key)
      return decimal === undefined ? `s${key}` : `n${decimal}`
    }
    default:
      throw noKey(key === null ? 'null' : typeof key === 'object' ? 'an object' : `a ${typeof key}`)
  }
}

/** The digits of a decimal number without what does not count; `undefined` when it is none. */
function decimalOf(text: string): string | undefined {
  const trimmed = text.trim()
  const sign = trimmed[0] === '-' || trimmed[0] === '+' ? 1 : 0
  let dot = -1
  for (let at = sign; at < trimmed.length; at++) {
    const char = trimmed.charCodeAt(at)
    if (char === DOT && dot === -1) dot = at
    else if (char < ZERO || char > NINE) return undefined
  }
  const end = dot === -1 ? trimmed.length : dot
  // Neither '.5' nor '5.' is how a server writes a number.
  if (end === sign || dot === trimmed.length - 1) return undefined
  let first = sign
  while (first < end - 1 && trimmed.charCodeAt(first) === ZERO) first++
  let last = trimmed.length
  if (dot !== -1) {
    while (trimmed.charCodeAt(last - 1) === ZERO) last--
    if (last - 1 === dot) last = dot
  }
  const digits = trimmed.slice(first, last)
  return trimmed[0] === '-' && digits !== '0' ? `-${digits}` : digits
}

function noKey(what: string): Error & { readonly code: string } {
  return misuse(
    TypeError,
    'ERR_MYSQL_SHARD',
    `The key of a shard must be a string, a number or a bigint, not ${what}`,
  )
}
