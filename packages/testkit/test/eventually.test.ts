import { describe, expect, it } from 'vitest'
import { eventually } from '../src/index.js'

describe('eventually', () => {
  it('returns what the check returned once it passes', async () => {
    let n = 0
    expect(await eventually(() => ++n >= 3 && n, { interval: 1 })).toBe(3)
    await eventually(() => expect(++n).toBe(6), { interval: 1 })
    expect(n).toBe(6)
    expect(await eventually(async () => {}, { interval: 1 })).toBeUndefined()
  })

  it('gives up at the deadline with the last failure', async () => {
    const failing = eventually(() => expect(1).toBe(2), { timeout: 20, interval: 1 })
    await expect(failing).rejects.toThrow(/Not within 20 ms: expected 1 to be 2/)
    await expect(eventually(() => false, { timeout: 5, what: 'the end' })).rejects.toThrow(
      'Not within 5 ms: the end',
    )
  })
})
