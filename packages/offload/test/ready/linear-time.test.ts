import { workOf } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import type { TaskContext } from '../../src/index.js'
import { parseCsv } from '../../src/ready/csv.js'
import { pickJson } from '../../src/ready/json.js'
import { verifyPassword } from '../../src/ready/password.js'

/** Malformed inputs are refused; the work until then counts. */
const workOfReading = (task: () => unknown) =>
  workOf(async () => {
    try {
      await task()
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
  })

const context = { check() {}, transfer() {} } as unknown as TaskContext
const readers: Record<string, (n: number) => () => unknown> = {
  ...Object.fromEntries(
    ['a,b\n', '"a","b"\n', '"a""b"\n', '"', '""', ',', '\n', '\r\n', 'a', '"a",', 'a,', '"a"x', 'a,"b",'].map(
      (part) => [
        `CSV of ${JSON.stringify(part)}`,
        (n: number) => () => parseCsv({ csv: part.repeat(n), columns: ['x', 'y'] }, context),
      ],
    ),
  ),
  'CSV of wide records': (n) => () => parseCsv({ csv: `${'"a",b,'.repeat(n)}\n`, columns: ['x'] }, context),
  'CSV of quoted fields before a long line': (n) => () =>
    parseCsv({ csv: `"a",${'b,'.repeat(n)}\n`, columns: ['x'] }, context),
  'a path into JSON': (n) => () => pickJson({ json: '{"a":1}', pick: ['a.'.repeat(n)] }),
  'many paths into JSON': (n) => () => pickJson({ json: '{"a":1}', pick: Array(n).fill('a') }),
  'a stored hash': (n) => () =>
    verifyPassword({ password: 'x', hash: `$scrypt$ln=4,r=8,p=1$${'a'.repeat(n)}` }),
}

describe('the cost of what comes from outside', () => {
  it.each(Object.keys(readers))('S4 %s: twice the input is at most 2.2 times the work', async (name) => {
    const n = 400
    const once = await workOfReading(readers[name]!(n))
    const twice = await workOfReading(readers[name]!(2 * n))
    expect(once).toBeGreaterThan(0)
    expect(twice).toBeLessThanOrEqual(2.2 * once + 20)
  })
})
