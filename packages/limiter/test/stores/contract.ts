import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Decision } from '../../src/index.js'
import { memoryWorld, type Options, type Subject, type World } from '../subjects.js'

let names = 0
/** A fresh name, so that tests do not meet in a store. */
export const fresh = (stem = 'limit') => `${stem}-${process.pid}-${names++}`

/** What every store must do, by the cases of the field where others do not. Time is moved by the test. */
export function storeContract(store: string, open: () => Promise<World>): void {
  describe(`a limiter with its buckets in: ${store}`, () => {
    let world: World
    beforeAll(async () => {
      world = await open()
    })
    afterAll(() => world.close())

    const bucket = (capacity: number, tokens: number, per: `${number}${'s' | 'd' | 'ms'}` = '1s') =>
      world.limiter({ name: fresh(), capacity, refill: { tokens, per } })
    const times = async (n: number, limiter: Subject, key: string, cost = 1) => {
      let admitted = 0
      for (let i = 0; i < n; i++) if ((await limiter.consume(key, { cost })).allowed) admitted++
      return admitted
    }

    it('L9: admits no double burst at an edge', async () => {
      const limiter = await bucket(5, 5)
      expect(await times(1, limiter, 'a')).toBe(1)
      world.clock.advance(940)
      expect(await times(4, limiter, 'a')).toBe(4)
      world.clock.advance(100)
      // Until 0.94 s the bucket was full again, so five were there in the whole of that time.
      expect(await times(5, limiter, 'a')).toBe(1)
    })

    it('L20: a clock that goes back neither refills nor moves the mark', async () => {
      const limiter = await bucket(4, 4)
      expect(await times(3, limiter, 'a')).toBe(3)
      world.clock.advance(-1_000)
      expect(await times(3, limiter, 'a')).toBe(1)
      world.clock.advance(1_000)
      expect(await times(3, limiter, 'a')).toBe(0)
      world.clock.advance(250)
      expect(await times(3, limiter, 'a')).toBe(1)
    })

    it('L24: a limit of 30 days, and of ten years, still holds after a moment', async () => {
      for (const days of [30, 3_650] as const) {
        const limiter = await world.limiter({ name: fresh(), limit: 2, window: `${days}d` })
        expect(await times(3, limiter, 'a')).toBe(2)
        world.clock.advance(30)
        const third = await limiter.consume('a')
        expect(third.allowed).toBe(false)
        expect(third.retryAfter).toBeGreaterThan(((days * 86_400_000) / 2) * 0.999)
        world.clock.advance(third.retryAfter)
        expect((await limiter.consume('a')).allowed).toBe(true)
      }
    })

    it('L25: periods below a second', async () => {
      const limiter = await bucket(1, 2)
      expect((await limiter.consume('a')).allowed).toBe(true)
      expect((await limiter.consume('a')).retryAfter).toBe(500)
      world.clock.advance(500)
      expect((await limiter.consume('a')).allowed).toBe(true)
      const quick = await world.limiter({ name: fresh(), limit: 1_000, window: '1ms' })
      // In one turn: in a store whose keys expire, a millisecond of real time makes it full, too.
      const both = [quick.consume('a', { cost: 1_000 }), quick.consume('a', { cost: 1_000 })]
      expect((await Promise.all(both)).map(({ allowed }) => allowed)).toEqual([true, false])
      world.clock.advance(1)
      expect((await quick.consume('a', { cost: 1_000 })).allowed).toBe(true)
    })

    it('L26: polling does not eat fractions of a token', async () => {
      const limiter = await bucket(1, 1.5)
      let granted = 0
      for (let i = 0; i < 400; i++) {
        if ((await limiter.consume('a')).allowed) granted++
        world.clock.advance(100)
      }
      expect(granted).toBeGreaterThanOrEqual(57) // one each 700 ms at this grid: the bucket of one is full in between
      expect(granted).toBeLessThanOrEqual(61)
    })

    it('L28: a rejected call takes nothing', async () => {
      const limiter = await bucket(10, 0)
      expect((await limiter.consume('a', { cost: 8 })).remaining).toBe(2)
      expect(await limiter.consume('a', { cost: 5 })).toMatchObject({ allowed: false, remaining: 2 })
      expect(await limiter.consume('a')).toMatchObject({ allowed: true, remaining: 1 })
    })

    it('L29: a cost that is no finite number >= 0 throws and changes nothing', async () => {
      const limiter = await bucket(10, 0)
      await limiter.consume('a')
      for (const cost of [Number.NaN, Number.POSITIVE_INFINITY, -1, '2' as never, -0.5]) {
        await expect(limiter.consume('a', { cost })).rejects.toMatchObject({ code: 'ERR_LIMITER_COST' })
      }
      expect((await limiter.peek('a', { cost: 0 })).remaining).toBe(9)
      expect((await limiter.consume('a', { cost: 0.5 })).remaining).toBe(8)
    })

    it('L8: a key that is no text throws', async () => {
      const limiter = await bucket(10, 0)
      for (const key of [undefined, null, '', 7] as never[]) {
        await expect(limiter.consume(key)).rejects.toMatchObject({ code: 'ERR_LIMITER_KEY' })
      }
    })

    it('L30: waiting for retryAfter always succeeds, a microsecond less does not', async () => {
      const limiter = await world.limiter({ name: fresh(), capacity: 1, refill: { tokens: 1, per: 900 } })
      await limiter.consume('a')
      const denied = await limiter.consume('a')
      expect(denied.retryAfter).toBe(900)
      world.clock.advance(899.999)
      expect((await limiter.consume('a')).allowed).toBe(false)
      world.clock.advance(0.001)
      expect((await limiter.consume('a')).allowed).toBe(true)
    })

    it('L32: several limits are charged together or not at all', async () => {
      const [tight, wide] = [fresh('tight'), fresh('wide')]
      const tightOptions = { name: tight, capacity: 1, refill: { tokens: 0, per: '1s' } } as const
      const wideOptions = { name: wide, capacity: 10, refill: { tokens: 0, per: '1s' } } as const
      const both = await world.limiter(tightOptions, wideOptions)
      expect(await times(4, both, 'a')).toBe(1)
      const last = await both.consume('a')
      expect(last.parts?.map(({ limit, remaining }) => [limit.name, remaining])).toEqual([
        [tight, 0],
        [wide, 9],
      ])
      const alone = await world.limiter(wideOptions)
      expect((await alone.peek('a')).remaining).toBe(9)
    })

    it('a limit in shadow mode never blocks a set, is charged where it has room, and says what it would have said', async () => {
      const hard = { name: fresh('hard'), capacity: 4, refill: { tokens: 0, per: '1s' } } as const
      const trial = {
        name: fresh('trial'),
        capacity: 2,
        refill: { tokens: 0, per: '1s' },
        shadow: true,
      } as const
      const both = await world.limiter(trial, hard)
      const told = ({ allowed, shadowed, remaining, parts }: Decision) => [
        allowed,
        shadowed,
        remaining,
        ...parts!.map((part) => `${part.allowed} ${part.shadowed} ${part.remaining}`),
      ]
      const inOneTurn = await Promise.all(Array.from({ length: 3 }, () => both.consume('a')))
      expect(inOneTurn.map(told)).toEqual([
        [true, false, 3, 'true false 1', 'true false 3'],
        [true, false, 2, 'true false 0', 'true false 2'],
        [true, true, 1, 'true true 0', 'true false 1'],
      ])
      // It has no say, so what the others refuse is charged nowhere.
      await both.reset('a')
      expect(told(await both.consume('a', { cost: 5 }))).toEqual([
        false,
        false,
        4,
        'true true 2',
        'false false 4',
      ])
      const dear = await both.consume('a', { cost: 3 })
      expect(told(dear)).toEqual([true, true, 1, 'true true 2', 'true false 1'])
      // Only what was charged is settled.
      await both.settle(dear, 1)
      expect(told(await both.peek('a', { cost: 0 }))).toEqual([
        true,
        false,
        3,
        'true false 2',
        'true false 3',
      ])
    })

    it('a set of limits in shadow mode lets everything through', async () => {
      const trials = [1, 2].map(
        (capacity) => ({ name: fresh(), capacity, refill: { tokens: 0, per: '1s' }, shadow: true }) as const,
      )
      const both = await world.limiter(...trials)
      const seen: unknown[] = []
      for (let i = 0; i < 3; i++) {
        const { allowed, shadowed, parts } = await both.consume('a')
        seen.push([allowed, shadowed, ...parts!.map((part) => part.shadowed)])
      }
      expect(seen).toEqual([
        [true, false, false, false],
        [true, true, true, false],
        [true, true, true, true],
      ])
    })

    it('L36: settles once, up and down, never above a full bucket', async () => {
      const limiter = await bucket(10, 0)
      const decision = await limiter.consume('a', { cost: 4 })
      expect((await limiter.settle(decision, 1)).remaining).toBe(9)
      expect((await limiter.settle(decision, 0)).remaining).toBe(9)
      const dear = await limiter.consume('a', { cost: 1 })
      expect((await limiter.settle(dear, 20)).remaining).toBe(0)
      expect((await limiter.consume('a')).allowed).toBe(false)
      expect((await limiter.refund('a', 500)).remaining).toBe(10)
    })

    it('L37: calls in the same microsecond count one by one', async () => {
      const limiter = await bucket(5, 0)
      const decisions = await Promise.all(Array.from({ length: 50 }, () => limiter.consume('a')))
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5)
      expect(decisions.slice(0, 6).map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0])
    })

    it('L40: a raised limit counts at once, and keeps what was used', async () => {
      const limiter = await bucket(1, 0)
      const plan = { capacity: 10, refill: { tokens: 0, per: '1s' } } as const
      expect(await times(2, limiter, 'a')).toBe(1)
      expect((await limiter.consume('a', { limit: plan })).remaining).toBe(8)
      expect((await limiter.consume('a')).allowed).toBe(false)
    })

    it('L42: capacity 0 never admits, rate 0 never refills', async () => {
      const none = await bucket(0, 0)
      expect(await none.consume('a')).toMatchObject({
        allowed: false,
        impossible: true,
        retryAfter: Number.POSITIVE_INFINITY,
      })
      const once = await bucket(1, 0)
      expect(await times(2, once, 'a')).toBe(1)
      world.clock.advance(86_400_000)
      expect(await once.consume('a')).toMatchObject({
        allowed: false,
        impossible: false,
        retryAfter: Number.POSITIVE_INFINITY,
      })
    })

    it('peeks without taking, and resets', async () => {
      const limiter = await bucket(2, 0)
      expect(await limiter.peek('a')).toMatchObject({ allowed: true, remaining: 2 })
      await limiter.consume('a', { cost: 2 })
      expect(await limiter.peek('a')).toMatchObject({ allowed: false, remaining: 0 })
      expect(await limiter.reset('a')).toMatchObject({ remaining: 2 })
      expect((await limiter.consume('a', { cost: 2 })).allowed).toBe(true)
    })

    it('L16: takes any text as a key, and keeps them apart', async () => {
      const both = await world.limiter(
        { name: fresh(), limit: 1, window: '1h' },
        { name: fresh(), limit: 1, window: '1d' },
      )
      const keys = ['a', 'a{b}', '{', '}{', '{}', '%7Bb%7D', '{b}', 'ü {x} \n', ' ', '!', ':', '"\\']
      for (const key of keys) expect((await both.consume(key)).allowed, key).toBe(true)
      for (const key of keys) expect((await both.consume(key)).allowed, key).toBe(false)
    })

    it('L44: decides a random script as memory does, to the last digit', async () => {
      await fc.assert(
        fc.asyncProperty(limitsOfScript, fc.array(step, { maxLength: 40 }), async (limits, steps) => {
          const model = await memoryWorld()
          model.clock.advance(world.clock.now())
          const options = limits.map((limit) => ({ ...limit, name: fresh() }))
          const [expected, actual] = [await model.limiter(...options), await world.limiter(...options)]
          const admissions: [Decision, Decision][] = []
          for (const each of steps) {
            const [a, b] = [await play(expected, each, 0), await play(actual, each, 1)]
            expect(plain(b)).toEqual(plain(a))
            if (each.do === 'consume' && a !== undefined && b !== undefined) admissions.push([a, b])
            model.clock.advance(each.wait)
            world.clock.advance(each.wait)
          }

          function play(subject: Subject, each: Step, side: 0 | 1): Promise<Decision> | undefined {
            if (each.do !== 'settle') return act(subject, each)
            const decision = admissions.at(-1)?.[side]
            return decision && subject.settle(decision, each.cost)
          }
        }),
        { numRuns: 40 },
      )
    })

    it('never shows anything negative, and a cost above the capacity as impossible', async () => {
      const limiter = await bucket(5, 1)
      const dear = await limiter.consume('a', { cost: 6 })
      expect(dear).toMatchObject({ allowed: false, impossible: true, remaining: 5, resetAfter: 0 })
      const settled = await limiter.settle(await limiter.consume('a', { cost: 5 }), 50)
      expect(settled).toMatchObject({ remaining: 0, resetAfter: 50_000 })
    })
  })
}

/** Fractions, but no specks: a Redis key lives until the bucket is full, at least a millisecond. */
function eighths(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: max * 8 }).map((count) => count / 8)
}

type Step = {
  do: 'consume' | 'peek' | 'refund' | 'reset' | 'settle'
  key: string
  cost: number
  wait: number
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.oneof(
    { weight: 8, arbitrary: fc.constant('consume' as const) },
    { weight: 3, arbitrary: fc.constantFrom('peek' as const, 'refund' as const, 'settle' as const) },
    { weight: 1, arbitrary: fc.constant('reset' as const) },
  ),
  key: fc.constantFrom('a', 'b', 'c{d}'),
  cost: eighths(12),
  wait: fc.oneof(
    fc.constant(0),
    fc.integer({ min: 0, max: 120_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
})

/** Slow ones: in real time, which the expiry of Redis keys goes by, none of these gets full during a script. */
const limitsOfScript: fc.Arbitrary<Options[]> = fc.array(
  fc.record({
    capacity: eighths(20),
    refill: fc.record({
      tokens: eighths(3),
      per: fc.constantFrom('1h' as const, '7d' as const),
    }),
    shadow: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
)

function act(subject: Subject, { do: what, key, cost }: Step): Promise<Decision> {
  if (what === 'refund') return subject.refund(key, cost)
  if (what === 'reset') return subject.reset(key)
  return what === 'peek' ? subject.peek(key, { cost }) : subject.consume(key, { cost })
}

/** What must be equal: all but who said it. */
function plain(decision: Decision | undefined): unknown {
  if (decision === undefined) return undefined
  // What comes from a worker is plain already.
  const { source: _, parts, limit, ...rest } = (decision.toJSON?.() ?? decision) as Decision
  return { ...rest, ref: undefined, limit: { ...limit }, parts: parts?.map(plain) }
}
