import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jump, rendezvous, ShardedMysql } from '../../src/index.js'

describe('rendezvous', () => {
  const keys = Array.from({ length: 8_000 }, (_, i) => i)

  it('spreads keys evenly, and is the same for ever', () => {
    const counts = new Map<string, number>()
    for (const key of keys)
      counts.set(
        rendezvous(key, ['a', 'b', 'c', 'd']),
        (counts.get(rendezvous(key, ['a', 'b', 'c', 'd'])) ?? 0) + 1,
      )
    for (const count of counts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(200)
    expect(
      ['ann', 'bob', 42, 42n, '42'].map((key) => rendezvous(key, ['one', 'two', 'three'])),
    ).toMatchInlineSnapshot(`
      [
        "two",
        "three",
        "three",
        "three",
        "three",
      ]
    `)
  })

  it('moves to a new shard only what it wins, and the plan says so', () => {
    const before = new ShardedMysql({ shards: { a: 'mysql://a', b: 'mysql://b', c: 'mysql://c' } })
    const plan = before.plan(keys, ['a', 'b', 'c', 'd'])
    for (const { to } of plan.moves) expect(to).toBe('d')
    expect(plan.moves.length + plan.staying).toBe(8_000)
    expect(Math.abs(plan.moves.length - 2_000)).toBeLessThan(200)
    expect(String(plan)).toMatch(/^\d+ of 8000 keys move \(\d+\.\d %\)\n {2}a -> d: \d+\n/)
    expect(() => before.shard('z')).toThrow(expect.objectContaining({ code: 'ERR_MYSQL_SHARD' }))
    return before.close()
  })
})

describe.each([
  ['rendezvous', rendezvous],
  ['jump', jump],
] as const)('%s', (locate, find) => {
  const anyKey = fc.oneof(fc.string(), fc.integer(), fc.maxSafeInteger(), fc.bigInt())
  const someNames = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 12 })

  it('B40 one SQL value has one shard, however it is said', () => {
    const names = Array.from({ length: 16 }, (_, i) => `shard-${i}`)
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat({ max: 5 }), (n, zeros) => {
        const sign = n < 0 ? '-' : ''
        const digits = String(Math.abs(n)).padStart(String(Math.abs(n)).length + zeros, '0')
        const said = [
          n,
          BigInt(n),
          String(n),
          `${sign}${digits}`,
          ` ${n} `,
          `${n}.0`,
          `${n}.${'0'.repeat(zeros + 1)}`,
        ]
        expect(new Set(said.map((key) => find(key, names))).size).toBe(1)
      }),
    )
    expect(find(7.5, names)).toBe(find('7.50', names))
    expect(find('18446744073709551615', names)).toBe(find(18446744073709551615n, names))
    expect(find('-0', names)).toBe(find(0, names))
    // Texts are what they are.
    const texts = [
      '7a',
      'a7',
      '',
      ' ',
      '.',
      '-',
      '+',
      '1e3',
      '0x7',
      '7.',
      '.7',
      '7.7.7',
      'NaN',
      'ANN',
      'ann',
      'ann ',
    ]
    for (const text of texts) expect(names).toContain(find(text, names))
  })

  it('B40 numbers in every notation, and texts that are one value for the usual collations, have one shard', () => {
    const names = Array.from({ length: 64 }, (_, i) => `shard-${i}`)
    for (const said of [
      [1e-7, '0.0000001', '1e-7', '1E-7', '.0000001', '10e-8'],
      [1_000, '1e3', '1E3', '1.0e+3', '1000.', 1_000n],
      [0.5, '.5', '0.50', '+.5', '5e-1'],
      [0, -0, '0', '-0', '-0.0', '.0', '0e9', 0n, '000'],
      [-7, '-7', '-07', '-7.0', '-7.', ' -7', '-70e-1'],
      [1.5e-9, '0.0000000015'],
      ['ann', 'ANN', 'Ann', 'ann ', 'ann   '],
      ['é', 'e\u0301', 'É', 'e', 'E\u0301'],
      ['Straße', 'STRASSE', 'strasse'],
      ['ｕｓｅｒ１', 'user1', 'USER1'],
      ['７', 7, '7'],
      ['\u212b', '\u00c5', 'A\u030a'],
    ]) {
      const found = new Set(said.map((key) => find(key, names)))
      expect(found.size, said.map(String).join(' = ')).toBe(1)
    }
    // What a server compares as a text is no number here.
    for (const text of ['1e999999999', 'e', '.', '1e', 'e1', '1e1e1', '0x7', '-', '+e1']) {
      expect(names).toContain(find(text, names))
    }
    // All the digits that a key may have.
    expect(find('9'.repeat(3_000), names)).toBe(find(`0${'9'.repeat(3_000)}`, names))
  })

  it('B40 what is no key is refused', async () => {
    const names = ['a', 'b']
    const none = [
      undefined,
      null,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      {},
      [],
      [7],
      true,
      false,
      Symbol('7'),
      () => 7,
      new Date(0),
      Buffer.from('7'),
      'x'.repeat(10_000),
    ]
    await using shards = new ShardedMysql({ shards: { a: 'mysql://a', b: 'mysql://b' }, locate })
    await using own = new ShardedMysql({ shards: { a: 'mysql://a' }, locate: () => 'a' })
    for (const key of none as never[]) {
      for (const act of [
        () => find(key, names),
        () => shards.forKey(key),
        () => shards.shardOf(key),
        () => shards.groupByShard(['x', key]),
        () => shards.plan([key], names),
        () => own.forKey(key),
      ]) {
        expect(act).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_MYSQL_SHARD' }))
      }
    }
  })

  it('a new last shard takes keys and moves none between the old ones; taking it away gives them back', () => {
    fc.assert(
      fc.property(someNames, fc.array(anyKey, { minLength: 1, maxLength: 50 }), (names, keys) => {
        const old = names.slice(0, -1)
        for (const key of keys) {
          const before = find(key, old)
          const after = find(key, names)
          expect(old).toContain(before)
          expect([before, names.at(-1)]).toContain(after)
          expect(find(key, old)).toBe(before)
        }
      }),
    )
  })

  it('the new shard takes its fair share, and so does every old one of what stays', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `user:${i}`)
    const five = ['a', 'b', 'c', 'd', 'e']
    const shards = new ShardedMysql({
      locate,
      shards: Object.fromEntries(five.slice(0, 4).map((name) => [name, `mysql://${name}`])),
    })
    const plan = shards.plan(keys, five)
    // A fifth, within six standard deviations of a fair die.
    expect(Math.abs(plan.moves.length - 4_000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.2 * 0.8))
    const left = new Map(five.map((name) => [name, 0]))
    for (const key of keys) left.set(find(key, five), left.get(find(key, five))! + 1)
    for (const count of left.values())
      expect(Math.abs(count - 4_000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.2 * 0.8))
    return shards.close()
  })
})

describe('rendezvous', () => {
  it('any shard may go: only its own keys move', () => {
    const names = ['a', 'b', 'c', 'd']
    for (const gone of names) {
      const rest = names.filter((name) => name !== gone)
      for (let key = 0; key < 500; key++) {
        const before = rendezvous(key, names)
        if (before !== gone) expect(rendezvous(key, rest)).toBe(before)
      }
    }
  })
})

describe('jump', () => {
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i))

  it('gives what the published algorithm gives', () => {
    // From the tests of ClickHouse and of several libraries; the key of a string is FNV-1a.
    for (const [key, count, expected] of [
      [1, 1, 0],
      [42, 57, 43],
      [256, 1024, 520],
      [3735883980, 1, 0],
      [3735883980, 666, 361],
      [16045690984833335023n, 255, 237],
      [0, 60, 0],
      [1, 60, 55],
      [2, 60, 46],
    ] as const)
      expect(jump(key, numbered(count)), `${key} of ${count}`).toBe(String(expected))
    // FNV-1a of 'foobar', from its authors' test suite.
    expect(jump('foobar', numbered(1_000))).toBe(jump(0x85944171f73967e8n, numbered(1_000)))
  })

  it('is what a ShardedMysql uses when it is told to, and other words are refused', async () => {
    const shards = { a: 'mysql://a', b: 'mysql://b', c: 'mysql://c' }
    const jumping = new ShardedMysql({ shards, locate: 'jump' })
    for (const key of ['x', 'y', 7, 8n]) expect(jumping.shardOf(key)).toBe(jump(key, ['a', 'b', 'c']))
    const own = new ShardedMysql({ shards, locate: (key) => (Number(key) < 100 ? 'a' : 'b') })
    expect([own.shardOf(5), own.shardOf(500)]).toEqual(['a', 'b'])
    expect(own.plan([5, 500], ['a', 'c'], () => 'c').moves).toHaveLength(2)
    expect(() => new ShardedMysql({ shards, locate: 'leap' as 'jump' })).toThrow(
      /"locate" must be 'rendezvous'/,
    )
    await Promise.all([jumping.close(), own.close()])
  })
})
