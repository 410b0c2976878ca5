import { describe, expect, it } from 'vitest'
import { offloaderWith, rejection } from '../support.js'

describe('inline functions', () => {
  it('O40 one that ends its threads is refused alone, not every other inline function', async () => {
    const offloader = offloaderWith({ poison: { deaths: 2, within: '1m', cooldown: '30s' } })
    const deadly = (code: number) => process.exit(code)
    for (let i = 0; i < 2; i++) {
      expect(await rejection(offloader.runInline(deadly, 3))).toMatchObject({ code: 'ERR_OFFLOAD_EXIT' })
    }
    expect(await rejection(offloader.runInline(deadly, 3))).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
    expect(await offloader.runInline((a: number, b: number) => a + b, 1, 2)).toBe(3)
    expect(await offloader.runInline((text: string) => text.length, 'abc')).toBe(3)
    expect(await rejection(offloader.runInline(deadly, 3))).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
  })

  it('O40 a thousand sources are told apart without being kept', async () => {
    const offloader = offloaderWith()
    for (let i = 0; i < 1_000; i++) {
      const function_ = new Function('a', `return a + ${i}`) as (a: number) => number
      expect(await offloader.runInline(function_, 1)).toBe(1 + i)
    }
    expect(Object.keys(offloader.stats().tasks)).toEqual(['inline'])
    expect(offloader.stats().tasks.inline).toMatchObject({ completed: 1_000 })
  })
})
