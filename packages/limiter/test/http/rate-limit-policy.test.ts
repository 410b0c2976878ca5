import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rateLimitPolicyField } from '../../src/http/rate-limit-policy.js'

/** A strict reader of structured-field lists (RFC 9651 section 4.2), for strings with integer parameters. */
function parseList(text: string): { name: string; params: Record<string, number> }[] {
  const items = []
  let rest = text
  for (;;) {
    const string = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/.exec(rest)
    if (string === null) throw new Error(`not a string: ${rest}`)
    rest = rest.slice(string[0].length)
    const params: Record<string, number> = {}
    for (let param = next(); param !== null; param = next()) {
      params[param[1]!] = Number(param[2])
      rest = rest.slice(param[0].length)
    }
    items.push({ name: string[1]!.replace(/\\(.)/g, '$1'), params })
    if (rest === '') return items
    const comma = /^[ \t]*,[ \t]*/.exec(rest)
    if (comma === null) throw new Error(`no comma: ${rest}`)
    rest = rest.slice(comma[0].length)
  }
  function next() {
    return /^; *([a-z*][a-z0-9_\-.*]*)=(-?\d{1,15})(?!\d)/.exec(rest)
  }
}

const name = fc.string({ minLength: 1, unit: fc.string({ minLength: 1, maxLength: 1 }) })
const amount = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(Number.POSITIVE_INFINITY, Number.NaN))

describe('the field RateLimit-Policy', () => {
  it('is one item per policy', () => {
    const field = rateLimitPolicyField([
      { name: 'burst', quota: 10, window: 1_500 },
      { name: 'daily', quota: 1_000 },
    ])
    expect(field).toBe('"burst";q=10;w=2, "daily";q=1000')
  })

  it('is a structured field for any policy: names survive, quotas are whole and never too large', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name, quota: amount, window: fc.option(amount, { nil: undefined }) }), {
          minLength: 1,
        }),
        (policies) => {
          const items = parseList(rateLimitPolicyField(policies))
          expect(items.map((item) => item.name)).toEqual(policies.map((policy) => visible(policy.name)))
          for (const [i, { params }] of items.entries()) {
            expect(params.q).toBeGreaterThanOrEqual(0)
            expect(params.q).toBeLessThanOrEqual(999_999_999_999_999)
            if (policies[i]!.window === undefined) expect(params).not.toHaveProperty('w')
            else expect(params.w).toBeGreaterThanOrEqual(1)
          }
        },
      ),
    )
  })

  it('escapes quotes and backslashes, and shows what is not ASCII as a question mark', () => {
    expect(rateLimitPolicyField([{ name: 'a"b\\c\né', quota: 1 }])).toBe('"a\\"b\\\\c??";q=1')
  })
})

function visible(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
