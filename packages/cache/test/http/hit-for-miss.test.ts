import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { HitForMiss } from '../../src/http/hit-for-miss.js'
import type { HttpLookup } from '../../src/http/http-lookup.js'

/** What clients can make a process remember has a bound in bytes. */

const MEGABYTE = 2 ** 20

/** Bytes of the heap that stay in use. */
function grownBy(work: () => unknown): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const used = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  const kept = work()
  const after = used()
  expect(kept).toBeDefined()
  return after - before
}

/** A text of its own in memory, not one that shares its characters. */
function text(length: number, number: number): string {
  return Buffer.alloc(length, `${number}|`).toString('latin1')
}

const lookupOf = (number: number): HttpLookup =>
  ({ resource: text(16_000, number), credentials: 'none' }) as Partial<HttpLookup> as HttpLookup

it('S15 marks of long targets are short', () => {
  const marks = new HitForMiss(60_000, 50)
  const grown = grownBy(() => {
    for (let i = 0; i < 4_000; i++) {
      marks.hitForMiss(lookupOf(i), false)
      marks.variesBy(lookupOf(i), ['accept'])
    }
    return marks
  })
  expect(grown).toBeLessThan(8 * MEGABYTE)
  expect(marks.isHitForMiss(lookupOf(3_999))).toBe(true)
  expect(marks.namesOf(lookupOf(3_999))).toEqual(['accept'])
  expect(marks.isHitForMiss(lookupOf(4_000))).toBe(false)
})

it('S15 variants are counted within a bound in bytes', () => {
  const marks = new HitForMiss(60_000, 50)
  const grown = grownBy(() => {
    for (let i = 0; i < 200_000; i++) marks.admitsVariant(`id ${i % 4_000}`, text(200, i))
    return marks
  })
  expect(grown).toBeLessThan(24 * MEGABYTE)
  for (let i = 0; i < 50; i++) expect(marks.admitsVariant('last', text(200, i))).toBe(true)
  expect(marks.admitsVariant('last', 'one more')).toBe(false)
})
