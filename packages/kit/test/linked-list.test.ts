import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Linked, LinkedList } from '../src/index.js'

describe('LinkedList', () => {
  it('is a set in the order of arrival', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 }))), (steps) => {
        const members: (Linked & { readonly id: number })[] = Array.from({ length: 10 }, (_, id) => ({
          id,
          next: undefined,
          previous: undefined,
        }))
        const chain = new LinkedList<(typeof members)[number]>()
        const model = new Set<number>()
        for (const [adds, id] of steps) {
          const member = members[id]!
          if (!adds) expect(chain.delete(member)).toBe(model.delete(id))
          else if (!model.has(id)) {
            chain.add(member)
            model.add(id)
          }
          const ids = [...chain].map((each) => each.id)
          expect(ids).toEqual([...model])
          expect([chain.size, chain.first?.id]).toEqual([model.size, ids[0]])
        }
      }),
    )
  })

  it('lets the visited member go', () => {
    const members = [1, 2, 3].map((id) => ({ id, next: undefined, previous: undefined }))
    const chain = new LinkedList<Linked & { readonly id: number }>()
    for (const member of members) chain.add(member)
    const seen = []
    for (const member of chain) {
      seen.push(member.id)
      chain.delete(member)
    }
    expect([seen, chain.size]).toEqual([[1, 2, 3], 0])
  })
})
