import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Chain, type Linked } from '../src/index.js'

describe('Chain', () => {
  it('is a set', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 }))), (steps) => {
        const members: (Linked & { readonly id: number })[] = Array.from({ length: 10 }, (_, id) => ({
          id,
          next: undefined,
          previous: undefined,
        }))
        const chain = new Chain<(typeof members)[number]>()
        const model = new Set<number>()
        for (const [adds, id] of steps) {
          const member = members[id]!
          if (!adds) chain.delete(member)
          else if (!model.has(id)) chain.add(member)
          if (adds) model.add(id)
          else model.delete(id)
          expect([...chain].map((each) => each.id).sort()).toEqual([...model].sort())
          expect(chain.size).toBe(model.size)
        }
      }),
    )
  })

  it('lets the visited member go', () => {
    const members = [1, 2, 3].map((id) => ({ id, next: undefined, previous: undefined }))
    const chain = new Chain<Linked & { readonly id: number }>()
    for (const member of members) chain.add(member)
    const seen = []
    for (const member of chain) {
      seen.push(member.id)
      chain.delete(member)
    }
    expect([seen, chain.size]).toEqual([[3, 2, 1], 0])
  })
})
