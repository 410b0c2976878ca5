import { describe, expect, it } from 'vitest'
import { chosen } from '../../src/handover/sticky-listener.js'
import { worker } from '../bare-worker.js'

describe('K35 sticky', () => {
  const workers = (...slots: number[]) => slots.map((slot, i) => worker({ slot, id: i + 1 }))
  const addresses = Array.from({ length: 200 }, (_, i) => `10.0.${i % 7}.${i}`)

  it('gives an address to one place, also through a reload', () => {
    const old = workers(1, 2, 3)
    const replacement = worker({ slot: 2, id: 9 })
    for (const address of addresses) {
      const before = chosen(address, old)!.slot
      expect(chosen(address, old)!.slot).toBe(before)
      const during = chosen(address, [...old, replacement])!
      expect(during.slot).toBe(before)
      if (before === 2) expect(during.id).toBe(9)
    }
  })

  it('moves only the share of a worker that goes', () => {
    for (const address of addresses) {
      const before = chosen(address, workers(1, 2, 3))!.slot
      if (before !== 3) expect(chosen(address, workers(1, 2))!.slot).toBe(before)
    }
    expect(new Set(addresses.map((address) => chosen(address, workers(1, 2, 3))!.slot)).size).toBe(3)
  })
})
